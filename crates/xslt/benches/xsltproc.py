#!/usr/bin/env python3
"""The engine against xsltproc (libxslt): whole processes in turn, processor time and peak memory, medians.

    cargo build --release -p entrepot-xslt --example transform
    python3 crates/xslt/benches/xsltproc.py target/release/examples/transform

Makes a document of about 48 MB with orders, always the same one, and transforms it by identity.xsl and by mapping.xsl (grouping by key, sorting,
numbers, dates). Needs xsltproc and /usr/bin/time (Debian: xsltproc, time). Exits 1 when the engine takes more processor time than xsltproc, or more memory than six times
the document.
"""
import os, pathlib, random, statistics, subprocess, sys, tempfile

RECORDS = 172_000
RUNS = 5
here = pathlib.Path(__file__).resolve().parent


def document(path):
    chance = random.Random(1)
    names = ["Ada", "Bob & Sons", "Çelik", "Dvořák", "Émile", "Foo <Ltd>", "Grüne Wiese", "Hansen"]
    escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
    with open(path, "w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<Orders xmlns="urn:shop">\n')
        for number in range(RECORDS):
            day = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
            file.write(
                f'<Order no="{number}" currency="EUR" placed="{day}T{chance.randrange(24):02}:30:00"><Customer group="{chance.randrange(4000)}">'
                f"<Name>{escape(chance.choice(names))} {chance.randrange(5000)}</Name><City>Town {chance.randrange(900)}</City></Customer>"
            )
            for _ in range(2):
                file.write(
                    f'<Line item="I-{chance.randrange(100_000):06}" quantity="{chance.randrange(1, 50)}"><Price>{chance.randrange(1, 900_000) / 100:.2f}</Price></Line>'
                )
            file.write("</Order>\n")
        file.write("</Orders>\n")


def measure(command):
    # A child of Python would begin with Python's own peak.
    with tempfile.NamedTemporaryFile("r") as used:
        subprocess.run(["/usr/bin/time", "-f", "%U %S %M", "-o", used.name, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        user, system, peak = used.read().split()
    return float(user) + float(system), int(peak) / 1024


def medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


with tempfile.TemporaryDirectory() as folder:
    source = pathlib.Path(folder) / "orders.xml"
    document(source)
    size = source.stat().st_size / 1e6
    ours = pathlib.Path(sys.argv[1]).resolve()
    print(f"a document of {size:.1f} MB, {RECORDS:,} records; medians of {RUNS} runs in turn; {os.cpu_count()} processors\n")
    print("| | CPU s | xsltproc | peak memory | xsltproc |\n|---|---|---|---|---|")
    bad = []
    for name, more in [("identity", []), ("mapping", []), ("identity", ["--records"])]:
        sheet = here / f"{name}.xsl"
        mine, theirs = [], []
        for _ in range(RUNS):
            mine.append(measure([ours, sheet, source, *more]))
            if not more:
                theirs.append(measure(["xsltproc", sheet, source]))
        (cpu, memory), label = medians(mine), name + (", record by record" if more else "")
        if more:
            print(f"| {label} | {cpu:.2f} | – | {memory:.0f} MiB | – |")
            bad += [f"{label}: the memory is not constant"] if memory > 16 else []
            continue
        their_cpu, their_memory = medians(theirs)
        print(f"| {label} | {cpu:.2f} | {their_cpu:.2f} | {memory:.0f} MiB | {their_memory:,.0f} MiB |")
        bad += [f"{label}: slower than xsltproc"] if cpu > their_cpu else []
        bad += [f"{label}: more than six times the document"] if memory * 1.048576 > 6 * size else []
    sys.exit("\n".join(bad) if bad else 0)
