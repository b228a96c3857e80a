//! The stream below a connection: TCP as it is, or TLS over it. Both read and write plain bytes, and never wait.
//!
//! The TLS half is driven by the same readiness as the TCP stream: reading pulls records through the session, and
//! whatever the session wants to say (handshake, alerts) is written on the way. What the network sends can at worst
//! make a read fail, which ends the connection.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// How many reads of the TCP stream in a row may bring no decrypted byte: more than the largest handshake takes.
const FRUITLESS_READS_MAX: usize = 256;

/// How many plain bytes a TLS session holds before it has encrypted them, and how many encrypted ones before they are
/// written.
const TLS_BUFFER_BYTES: usize = 64 * 1024;

/// A TCP stream, with or without TLS on it.
pub struct Stream {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    session: ServerConnection,
    /// What was read before the stream was known to be TLS.
    before: Vec<u8>,
    /// How many bytes of `before` the session has taken.
    taken: usize,
}

impl Stream {
    /// Begins with TCP as it is.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// Begins TLS, with the bytes that have come already.
    pub fn start_tls(&mut self, config: &Arc<ServerConfig>, before: Vec<u8>) -> io::Result<()> {
        let mut session = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        self.tls = Some(Box::new(Tls { session, before, taken: 0 }));
        Ok(())
    }

    /// Returns whether the stream is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the TCP stream, for registration with mio and for socket options.
    pub fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Returns whether TLS has bytes that the TCP stream did not take yet.
    pub fn has_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.session.wants_write())
    }

    /// Tells the peer that nothing more follows. Errors are ignored, because the peer may be gone.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.session.send_close_notify();
            let _ = self.flush();
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { tcp, tls } = self;
        let Some(tls) = tls else { return tcp.read(buffer) };
        for _ in 0..FRUITLESS_READS_MAX {
            match tls.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The peer ended without close_notify. HTTP and WebSocket notice themselves whether something is
                // missing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            tls.read_records(tcp)?;
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "TLS records without content"))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { tcp, tls } = self;
        let Some(tls) = tls else { return tcp.write(bytes) };
        // What is already encrypted goes first, or the session would have no room.
        tls.write_records(tcp)?;
        let count = tls.session.writer().write(bytes)?;
        tls.write_records(tcp)?;
        if count == 0 && !bytes.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    /// Writes what TLS has and the TCP stream takes. What is left is no error: see [`Stream::has_pending`].
    fn flush(&mut self) -> io::Result<()> {
        let Self { tcp, tls } = self;
        tls.as_mut().map_or(Ok(()), |tls| tls.write_records(tcp))
    }
}

impl Tls {
    fn read_records(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        let mut before = self.before.get(self.taken..).unwrap_or_default();
        if before.is_empty() {
            self.before = Vec::new();
            self.taken = 0;
            self.session.read_tls(tcp)?;
        } else {
            self.taken += self.session.read_tls(&mut before)?;
        }
        let processed = self.session.process_new_packets();
        // Written even after an error, because an alert tells the peer why.
        let written = self.write_records(tcp);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        written
    }

    fn write_records(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(tcp) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
