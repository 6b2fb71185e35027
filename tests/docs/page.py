"""Runs the commands of a page in one shell, and compares their answers with those that the page shows.

page.py PAGE SCRATCH [--write]

Blocks of the page, in order: "```toml NAME" (any language with a name) is saved as that file; "```sh" is pasted; of "```console" each line
"# COMMAND" is run, and the lines below it are its answer. A line "..." stands for any number of lines. Times, latencies and numbers of
processes are no part of the comparison, nor is where lines are wrapped. A command that only looks is repeated for some seconds until it shows
what the page says. /tmp/hanat-tutorial in the page is the folder SCRATCH here. --write puts the answers into the page instead.
Not here: namespaces of the test itself, and their end (run.sh).
"""
import re
import subprocess
import sys
import time

FOLDER = "/tmp/hanat-tutorial"
PATIENCE = 8  # seconds until a look shows what the page says
LOOKS = re.compile(r"(sleep [0-9.]+; )?(client curl|gateway curl|uniq|cat|hanatctl (status|why|history|connections|doctor|plan|check))\b")
END = "=== answered"
HEAD = re.compile(r"(?m)^\S+(  \d\d:\d\d:\d\d \S+  hanatd) \S+( up)")  # of a status: whose machine it is, and which version
# What differs from run to run, and what stands for it.
VARIES = [
    (r"\d{4}-\d\d-\d\d( \(\S+\))?", "DATE"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
    (r"DATE TIME", "TIME"),  # of another day, where it is late
    (r"reset \(connected, no reply\)(?= +1 of 3)", "refused"),  # the server may end while it has a probe
    (r"passes \d+\.\d of", "passes N of"),
    (r"\b(\d+ to )?\d+ ms after that; at least \d+ went", "T after that; N went"),  # a drill, as are the next
    (r"\bconnections of (\w+): .+?(?= no client|$)", r"connections of \1: N"),
    (r"\b\d+(\.\d+)? ?(milliseconds|minutes|min|ms|us|s|h|d)\b", "T"),
    (r"\bT T\b", "T"),  # "29 min 56 s"
    (r"\b(up|down|unknown)( \d+){5}\b", "connections"),
    (r"\d+ ended by themselves, \d+ were cut", "ended"),
    (r"; (still cutting|cut \d+ tcp( in T)?|nudge sent to \d+ clients?|\d+ ended by themselves)", ""),
    (r"\b\d+ (clients?|connections?|old flows?)\b", "N of them"),
    (r"TIME a client was refused by primary: probed at once", ""),  # or a probe was first
]


def blocks(text):
    """(language, name, first line, lines) of each fenced block; lines are numbered from 0."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        if lines[number].startswith("```"):
            words = lines[number][3:].split() + ["", ""]
            begin = number + 1
            number = lines.index("```", begin)
            yield words[0], words[1], begin, lines[begin:number]
        number += 1


def commands(lines):
    """(command, its answer as the page has it)"""
    found = []
    for line in lines:
        if line.startswith("# "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def comparable(text):
    text = " ".join(HEAD.sub(r"gateway\1 0\2", text).split())
    for pattern, stands in VARIES:
        text = re.sub(pattern, stands, text)
    return " ".join(text.split())


def matches(wanted, got):
    parts = [re.escape(comparable(part)) for part in re.split(r"(?m)^\.\.\.$", wanted)]
    return re.fullmatch(" ?.* ?".join(parts), comparable(got)) is not None


class Shell:
    def __init__(self):
        self.process = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, command):
        self.process.stdin.write(f"{command}\necho; echo {END!r}\n")
        self.process.stdin.flush()
        answer = ""
        for line in self.process.stdout:
            if line == END + "\n":
                answer = re.sub(r"(?m)^.*: line \d+: +\d+ (Terminated|Killed) .*\n?", "", answer)  # the shell's own, of its jobs
                return answer.removesuffix("\n")
            answer += line
        raise SystemExit(f"FAILED the shell ended in: {command}")


class Page:
    def __init__(self, path, scratch, write):
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.path, self.scratch, self.write, self.failed = path, scratch, write, 0
        self.shell = Shell()

    def here(self, text):
        return text.replace(FOLDER, self.scratch)

    def answer(self, command, wanted):
        """What the command says, at last."""
        end = time.monotonic() + PATIENCE
        while True:
            got = self.shell.run(self.here(command)).replace(self.scratch, FOLDER)
            if self.write or not LOOKS.match(command) or matches(wanted, got) or time.monotonic() > end:
                return got
            time.sleep(0.1)

    def check(self, command, line, wanted):
        began = time.monotonic()
        if self.write and LOOKS.match(command):
            time.sleep(2)
        got = self.answer(command, wanted)
        first = command.split("\n")[0]
        if matches(wanted, got):
            print(f"ok line {line}: {first} ({time.monotonic() - began:.1f} s)")
        elif not self.write:
            self.failed += 1
            print(f"FAILED line {line}: {first}\n---- the page\n{comparable(wanted)}\n---- now\n{comparable(got)}\n---- as it is\n{got}")
        return got

    def run(self):
        written = self.text.split("\n")
        moved = 0  # lines that the answers written so far have added
        for language, name, begin, lines in blocks(self.text):
            if name:
                with open(f"{self.scratch}/{name}", "w", encoding="utf-8") as file:
                    file.write(self.here("\n".join(lines)) + "\n")
            elif language == "sh":
                self.check("\n".join(lines), begin + 1, "")
            elif language == "console":
                fresh = []
                for command, wanted in commands(lines):
                    got = HEAD.sub(r"gateway\1 0.1.0\2", self.check(command, begin + 1, "\n".join(wanted)))
                    fresh += ["# " + command, *(got.rstrip("\n").split("\n") if got.strip() else [])]
                written[begin + moved : begin + moved + len(lines)] = fresh
                moved += len(fresh) - len(lines)
        if self.write:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write("\n".join(written))
        return 1 if self.failed else 0


if __name__ == "__main__":
    sys.exit(Page(sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]).run())
