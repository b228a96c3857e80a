"""What decoded pictures and sounds are: the colour of the one, the frequency of the other."""

import numpy


def seen(frame):
    """A picture's size, and the mean colour of its lower half."""
    picture = frame.to_ndarray(format="rgb24")
    below = picture[picture.shape[0] // 2 :]
    return {"width": frame.width, "height": frame.height, "rgb": [round(c) for c in below.mean(axis=(0, 1))]}


def heard(frames):
    """The loudest frequency of some sound."""
    samples = [frame.to_ndarray() for frame in frames]
    # In planes, or sample by sample.
    first = [some[0] if frame.format.is_planar else some.reshape(-1, len(frame.layout.channels))[:, 0]
             for some, frame in zip(samples, frames)]
    wave = numpy.concatenate(first).astype(float)
    if frames[0].format.name.startswith("flt"):
        wave *= 32768
    spectrum = numpy.abs(numpy.fft.rfft(wave * numpy.hanning(len(wave))))
    hz = numpy.fft.rfftfreq(len(wave), 1 / frames[0].sample_rate)[spectrum.argmax()]
    return {"hz": round(float(hz)), "loudest": float(numpy.abs(wave).max())}
