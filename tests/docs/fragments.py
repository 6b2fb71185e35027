"""Gives every configuration that a document shows to `hanatctl check`.

fragments.py HANATCTL SCRATCH PAGE...

A configuration is a block fenced as toml, or an indented block (or a fenced one without a language) with a line that begins with [service.NAME],
[hanatd], [pair], [defaults] or [group.NAME]. Each has to pass as it stands. Not here: what the text around it promises (page.py).
"""
import re
import subprocess
import sys

TABLE = re.compile(r"^\[\[?(service\.|group\.|hanatd\]|pair\]|defaults\])", re.MULTILINE)
# Programs that only an installed package has: check looks who may write to them.
ABSENT = {"/usr/lib/hanat/hanat-hook": "/bin/true", "/tmp/hanat-tutorial/notify": "/bin/true"}


def fenced(text):
    for found in re.finditer(r"(?ms)^```(\w*)[^\n]*\n(.*?)^```$", text):
        language, block = found.groups()
        if language == "toml" or (language == "" and TABLE.search(block)):
            yield text.count("\n", 0, found.start()) + 2, block


def indented(text):
    """Blocks of lines that are indented by four columns or more; an empty line does not end one."""
    text = re.sub(r"(?ms)^```.*?^```$", lambda found: "\n" * found.group().count("\n"), text)
    block, begin = [], 0
    for number, line in enumerate([*text.split("\n"), "end"], 1):
        if line.startswith("    ") or (block and not line.strip()):
            begin = begin if block else number
            block.append(line)
        elif block:
            depth = min(len(one) - len(one.lstrip()) for one in block if one.strip())
            whole = "\n".join(one[depth:] for one in block) + "\n"
            if TABLE.search(whole):
                yield begin, whole
            block = []


def check(hanatctl, file, name, block):
    for absent, there in ABSENT.items():
        block = block.replace(absent, there)
    with open(file, "w", encoding="utf-8") as out:
        out.write(block)
    done = subprocess.run([hanatctl, "check", file], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).replace(file, name).strip()
    # Beside the verdict: that a fragment of [hanatd] alone would do nothing, the interfaces that it follows.
    verdict = re.search(r"^.*: \d+ services?, \d+ servers?: ok$", lines, re.MULTILINE)
    good = done.returncode == 0 and verdict
    print(f"ok {verdict[0]}" if good else f"FAILED {name}: {lines}")
    return bool(good)


def main(hanatctl, scratch, *pages):
    good, number = True, 0
    for page in pages:
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for line, block in [*fenced(text), *indented(text)]:
            number += 1
            good = check(hanatctl, f"{scratch}/{number}.toml", f"{page}:{line}", block) and good
    if number < 10:
        print(f"FAILED only {number} configurations were found")
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
