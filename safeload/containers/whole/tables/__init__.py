"""Tables that programs look things up in, and numbers of measurements, one format a file."""

from __future__ import annotations

from safeload.containers.whole.interface import WholeFormat
from safeload.containers.whole.tables import (
    certificate,
    ds_store,
    fits,
    gettext,
    idl,
    matlab,
    matlab_old,
    netcdf,
    sqlite,
    terminfo,
    time_zone,
)

FORMS: tuple[WholeFormat, ...] = (
    *sqlite.FORMS,
    *gettext.FORMS,
    *time_zone.FORMS,
    *terminfo.FORMS,
    *certificate.FORMS,
    *ds_store.FORMS,
    *matlab.FORMS,
    *matlab_old.FORMS,
    *netcdf.FORMS,
    *fits.FORMS,
    *idl.FORMS,
)
