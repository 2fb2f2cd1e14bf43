"""Tables that programs look things up in, one format a file."""

from __future__ import annotations

from safeload.containers.whole.interface import Form
from safeload.containers.whole.tables import certificate, ds_store, gettext, sqlite, terminfo, time_zone

FORMS: tuple[Form, ...] = (
    *sqlite.FORMS,
    *gettext.FORMS,
    *time_zone.FORMS,
    *terminfo.FORMS,
    *certificate.FORMS,
    *ds_store.FORMS,
)
