"""Pages of PDFs: every kind is read, or the message has why not and what to do."""

from __future__ import annotations

from pathlib import Path

from pipeline.collection.sources.pages import ScannedPage, read_pages
from pipeline.errors import LabError
from tests.pipeline.collection.pdf_files import kinds_of_pdf
from tests.pipeline.conftest import Rig


def test_pdfs_of_every_kind_are_read_or_refused_with_a_remedy(rig: Rig, tmp_path: Path) -> None:
    lab, why = tmp_path / "lab", {}
    assert rig("init", "--collection", "--lab", lab).code == 0
    for name, data in kinds_of_pdf().items():
        file = tmp_path / f"{name}.pdf"
        file.write_bytes(data)
        try:
            ((total, page),) = read_pages(file)
        except LabError:
            ran = rig("catalogue", "add", file, "--lab", lab)
            assert (ran.code, ran.out) == (1, "") and str(file) in ran.err and "Traceback" not in ran.err
            why[name] = ran.err
            continue
        assert total == 1 and isinstance(page, ScannedPage)
        assert page.image[:100].mean() < 120 and page.image[150:].mean() > 220, name
    assert "qpdf --decrypt" in why["locked"] and "ask for one that is not locked" in why["own lock"]
    assert all("is damaged" in why[name] for name in ("cut short", "begun"))
    assert "is no PDF" in why["web page"] and len(why) == 5
