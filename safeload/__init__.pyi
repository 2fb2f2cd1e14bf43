"""The public names, listed once: type checkers read this file, and `__init__.py` finds each name by it.

One import a line. `NAME as NAME` is how a stub says that a name is public.
"""

from safeload.converting.api import convert as convert
from safeload.converting.api import verify as verify
from safeload.document.record import Record as Record
from safeload.errors import EndOfInput as EndOfInput
from safeload.errors import InputDenied as InputDenied
from safeload.errors import InputError as InputError
from safeload.errors import InputIsDirectory as InputIsDirectory
from safeload.errors import InputNotFound as InputNotFound
from safeload.errors import LimitExceeded as LimitExceeded
from safeload.errors import LoadFailed as LoadFailed
from safeload.errors import Malformed as Malformed
from safeload.errors import MissingExtra as MissingExtra
from safeload.errors import NotConvertible as NotConvertible
from safeload.errors import NotEqual as NotEqual
from safeload.errors import OutputError as OutputError
from safeload.errors import OutputExists as OutputExists
from safeload.errors import SafeloadError as SafeloadError
from safeload.errors import UnsafeCheckpoint as UnsafeCheckpoint
from safeload.errors import UsageError as UsageError
from safeload.errors import WrongArgument as WrongArgument
from safeload.findings import Finding as Finding
from safeload.findings import Severity as Severity
from safeload.findings import Verdict as Verdict
from safeload.inspecting.difference import diff as diff
from safeload.inspecting.inspection import inspect as inspect
from safeload.integrations.torch_load import protect as protect
from safeload.limits import Limits as Limits
from safeload.loading.lazy import open as open
from safeload.loading.load import load as load
from safeload.modules import state_dict as state_dict
from safeload.policy import Policy as Policy
from safeload.report import VERSION as __version__  # noqa: F401
from safeload.report import Report as Report
from safeload.saving import save as save
from safeload.scanning.scanner import scan as scan

__all__: list[str]
