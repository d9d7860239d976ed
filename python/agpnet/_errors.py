"""What the package raises."""
from __future__ import annotations


class AgpnetError(RuntimeError):
    """Every error of AGPNet: one message that names the object, its value and the expectation."""


class AgpnetArgumentError(AgpnetError, ValueError):
    """An argument: a value that is out of range or does not fit the model."""


class AgpnetFileError(AgpnetError, OSError):
    """A file that cannot be read or written, or its contents. `errno` is not set."""


class AgpnetDeviceError(AgpnetError):
    """A device that does not exist, or that failed."""


class AgpnetStateError(AgpnetError):
    """The call itself: too early, too late, or in a forked process."""


class AgpnetMemoryError(AgpnetError, MemoryError):
    """Not enough memory."""


#: the codes of agpnet/plugin.h; all others are an AgpnetError
BY_CODE = {1: AgpnetArgumentError, 6: AgpnetFileError, 7: AgpnetDeviceError, 8: AgpnetStateError, 9: AgpnetMemoryError}
