"""Man pages and the reference, made from what `wdsfs --help` itself says.

`python -m harness.manual BINARY man FOLDER` writes wdsfs.1, wdsfs-mount.1, ... there;
`python -m harness.manual BINARY reference` prints docs/reference.md.
"""

import dataclasses
import gzip
import json
import pathlib
import re
import subprocess
import sys
import textwrap


@dataclasses.dataclass
class Option:
    """One option or argument, as the help shows it."""

    names: list
    value: str
    text: str
    section: str
    positional: bool
    optional: bool
    repeating: bool

    def written(self):
        """`-f, --foreground` or `--seed <n>`."""
        if self.positional:
            return f"<{self.value}>" + (" ..." if self.repeating else "")
        return ", ".join(self.names) + (f" <{self.value}>" if self.value else "")


@dataclasses.dataclass
class Command:
    words: list
    abstract: str
    discussion: str
    usage: str
    options: list

    def name(self):
        return " ".join(self.words)


def told(binary, *words):
    return subprocess.run([binary, *words], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=30).stdout


def commands(binary):
    """All commands, the program itself first."""
    dump = json.loads(told(binary, "--experimental-dump-help"))["command"]
    return list(walk(binary, dump, []))


def walk(binary, node, above):
    words = above + [node["commandName"]]
    if words[-1] == "help" or not node.get("shouldDisplay", True):
        return
    usage = re.search(r"^USAGE: (.*)$", told(binary, *words[1:], "--help"), re.M)[1]
    yield Command(
        words, node.get("abstract", ""), node.get("discussion", ""), usage,
        [option(argument) for argument in node.get("arguments", [])
         if argument.get("shouldDisplay", True)],
    )
    for inner in node.get("subcommands", []):
        yield from walk(binary, inner, words)


def option(argument):
    names = [("-" if name["kind"] == "short" else "--") + name["name"]
             for name in argument.get("names", [])]
    return Option(
        names, argument["valueName"] if argument["kind"] != "flag" else "",
        argument.get("abstract", ""), argument.get("sectionTitle", ""),
        argument["kind"] == "positional", argument["isOptional"], argument["isRepeating"],
    )


def sections(command):
    """(title, options) in the order of the help: arguments, the groups, what belongs to none."""
    groups = {"Arguments": []}
    for each in command.options:
        if each.positional:
            groups["Arguments"].append(each)
        elif each.section:
            groups.setdefault(each.section, []).append(each)
    groups["Options"] = [each for each in command.options if not each.positional and not each.section]
    return [(title, options) for title, options in groups.items() if options]


def paragraphs(discussion):
    """("text" | "code", lines) of a discussion; what is indented or begins with a command is code."""
    blocks = []
    for line in discussion.splitlines():
        if not line.strip():
            blocks.append(("break", []))
            continue
        is_code = line.startswith("  ") or re.match(r"(wdsfs|ls|cat) ", line)
        kind = "code" if is_code else "text"
        if not blocks or blocks[-1][0] != kind:
            blocks.append((kind, []))
        blocks[-1][1].append(line)
    return [(kind, textwrap.dedent("\n".join(lines)).splitlines())
            for kind, lines in blocks if kind != "break"]


# MARK: man pages


def roff(text):
    """Text that groff takes as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def page(command, version, others):
    name = "-".join(command.words)
    lines = [
        f'.TH {name.upper()} 1 "" "wdsfs {version}" "wdsfs"', ".SH NAME",
        f"{roff(name)} \\- {roff(command.abstract.rstrip('.'))}", ".SH SYNOPSIS", ".nf",
        roff(command.usage), ".fi", ".SH DESCRIPTION",
    ]
    for kind, text in paragraphs(command.discussion):
        if kind == "code":
            lines += [".PP", ".RS 4", ".nf", *[roff(line) for line in text], ".fi", ".RE"]
        else:
            lines += [".PP", *[roff(line) for line in text]]
    for title, options in sections(command):
        lines.append(f".SH {roff(title.upper())}")
        for each in options:
            lines += [".TP", f".B {roff(each.written())}", roff(each.text)]
    if command.words == ["wdsfs"]:
        lines += [".SH COMMANDS"]
        for other in others:
            if len(other.words) == 2:
                lines += [".TP", f".BR {roff('-'.join(other.words))} (1)", roff(other.abstract)]
        lines += [".SH FILES", ".TP", ".I /etc/wdsfs/NAME.toml",
                  "What the unit", ".B wdsfs@NAME.service", "mounts.",
                  ".TP", ".I /var/cache/wdsfs, ~/.cache/wdsfs", "The cache, unless \\-\\-cache\\-dir names another."]
        lines += [".SH EXIT STATUS"]
        for code, meaning in EXIT_CODES:
            lines += [".TP", f".B {code}", roff(meaning)]
    lines += [".SH SEE ALSO", ", ".join(
        f"{roff('-'.join(other.words))}(1)" for other in others if other is not command)]
    return "\n".join(lines) + "\n"


def write_pages(binary, folder):
    all_commands = commands(binary)
    version = told(binary, "--version").split()[-1]
    folder = pathlib.Path(folder)
    (folder / "man1").mkdir(parents=True, exist_ok=True)
    (folder / "man8").mkdir(parents=True, exist_ok=True)
    for command in all_commands:
        text = page(command, version, all_commands).encode()
        # No time in it, so that two builds of one source are equal.
        path = folder / "man1" / ("-".join(command.words) + ".1.gz")
        path.write_bytes(gzip.compress(text, mtime=0))
    helper = b".so man1/wdsfs-mount.1\n"
    (folder / "man8/mount.wdsfs.8.gz").write_bytes(gzip.compress(helper, mtime=0))


# MARK: the reference

EXIT_CODES = [
    (0, "success; also: unmounted on request"), (1, "failure"),
    (2, "a wrong command line, variable or configuration file"),
    (3, "credentials missing, or access denied"), (4, "remote not found, or no shards there"),
    (5, "unreachable: name, network, TLS or time-out"),
    (6, "cannot mount: FUSE or the mountpoint"), (7, "damaged shards, with --strict"),
    (8, "a cursor that does not fit, or is damaged"), (9, "no usable cache directory"),
    (10, "the unmount had to be forced"),
]


def markdown(text):
    return text.replace("<", "&lt;").replace("|", "\\|")


def reference(binary):
    lines = [
        "# Reference", "",
        "Made from `wdsfs --help` by `python -m harness.manual`; a test keeps it so.",
        "Every option of `mount` may also stand after `-o` (`-o cache_size=10GB`), in a variable",
        "(`WDSFS_CACHE_SIZE=10GB`) and in the TOML file of `--config` (`cache-size = \"10GB\"`);",
        "the command line goes first, then `-o`, variables, the file. Sizes are written `10GB` (decimal)",
        "or `512MiB`, `512M` (binary), times `90s`, `5m`, `2h`. The fields of what `--json` writes, and of a mount's",
        "own documents, stand in [json.md](json.md).", "",
    ]
    for command in commands(binary):
        lines += [f"## {command.name()}", "", command.abstract, "", "```text", command.usage, "```", ""]
        for kind, text in paragraphs(command.discussion):
            if kind == "code":
                lines += ["```sh", *text, "```", ""]
            else:
                lines += [*text, ""]
        for title, options in sections(command):
            lines += [f"**{title}**", "", "| | |", "| --- | --- |"]
            lines += [row(each) for each in options]
            lines.append("")
    lines += ["## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES]
    return "\n".join(lines) + "\n"


def row(each):
    written = each.written().replace("|", "\\|")
    return f"| `{written}` | {markdown(each.text)} |"


def main():
    binary, what, *rest = sys.argv[1:]
    if what == "man":
        write_pages(binary, rest[0])
    elif what == "reference":
        sys.stdout.write(reference(binary))
    else:
        sys.exit(f"unknown: {what}; man FOLDER or reference")


if __name__ == "__main__":
    main()
