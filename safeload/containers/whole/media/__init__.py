"""Sound and moving pictures, and pictures in containers made for those; one format a file."""

from __future__ import annotations

from safeload.containers.whole.interface import WholeFormat
from safeload.containers.whole.media import ebml, flac, flv, iff, iso_media, mpeg_audio, ogg, rf64, riff

FORMS: tuple[WholeFormat, ...] = (
    *riff.FORMS,
    *rf64.FORMS,
    *iff.FORMS,
    *iso_media.FORMS,
    *mpeg_audio.FORMS,
    *flac.FORMS,
    *ogg.FORMS,
    *ebml.FORMS,
    *flv.FORMS,
)
