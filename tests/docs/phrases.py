"""Whatever docs/troubleshooting.md tells the reader to look for is something that hanat prints.

phrases.py SOURCE_FOLDER

Looks at the first column of its tables: each `phrase` there has to stand in the sources of hanatd or hanatctl, each [code] too.
Not here: whether what it says about them is right.
"""
import pathlib
import re
import sys

# What the programs put together, or what others print.
OTHERS = {"!!", "FILE:LINE:COLUMN: ...", "writable", "role"}


def literals(folder):
    """The text of all string literals, joined where the compiler joins them."""
    text = ""
    for name in ("cli", "daemon", "probes", "nat"):
        for file in sorted((folder / name).rglob("*.[ch]pp")):
            source = re.sub(r"""'\\?"'""", "' '", file.read_text(encoding="utf-8"))
            source = re.sub(r'"\s*\n\s*"', "", source)
            text += "\n".join(re.findall(r'"((?:[^"\\]|\\.)*)"', source)).replace('\\"', '"') + "\n"
    return text


def main(folder):
    known = literals(folder)
    page = (folder / "docs/troubleshooting.md").read_text(encoding="utf-8")
    good, seen = True, 0
    for number, line in enumerate(page.split("\n"), 1):
        if not line.startswith("| "):
            continue
        for phrase in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
            seen += 1
            parts = [phrase] if phrase in OTHERS else phrase.strip("[]").split(" ... ")
            if phrase not in OTHERS and not all(part in known for part in parts):
                print(f"FAILED docs/troubleshooting.md:{number}: hanat does not print: {phrase}")
                good = False
    if good and seen > 50:
        print(f"ok {seen} phrases of docs/troubleshooting.md are hanat's own")
        return 0
    if good:
        print(f"FAILED only {seen} phrases were found")
    return 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
