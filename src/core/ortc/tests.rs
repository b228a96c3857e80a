//! Tests of ORTC parameters: what mediasoup's clients say is read, and what they are told fits it.
