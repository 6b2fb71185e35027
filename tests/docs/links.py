"""Every link between the documents leads to a file that is there, and to a heading in it.

links.py SOURCE_FOLDER

Not here: addresses elsewhere.
"""
import pathlib
import re
import sys


def anchors(text):
    """The headings as a forge turns them into fragments."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", text):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower().replace("\\_", "_")).replace(" ", "-"))
    return found


def main(folder):
    pages = [folder / "README.md", folder / "CONTRIBUTING.md", *sorted((folder / "docs").glob("*.md"))]
    bad = number = 0
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            number += 1
            name, _, anchor = link.partition("#")
            target = (page.parent / name) if name else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                print(f"FAILED {page.relative_to(folder)}: {link} leads nowhere")
                bad += 1
    print(f"ok {number} links" if not bad else f"{bad} of {number} links lead nowhere")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
