#!/usr/bin/env python3
"""Compares the golden results with those of Microsoft's XslCompiledTransform on Mono.

    apt-get install mono-runtime mono-mcs libmono-system-xml4.0-cil && pip install lxml
    python3 crates/xslt/tests/oracle/compare.py

Two results are the same when their bytes are, or when they are the same XML: the order of attributes and of declarations does not count.
"""
import concurrent.futures, pathlib, re, subprocess, sys, tempfile
from lxml import etree

here = pathlib.Path(__file__).resolve().parent
# What differs and why: carriage returns in text are written as references by us, so that they survive being read again.
KNOWN = {"customers/output-xml-escapes"}


def content(raw):
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig" if raw[:3] == b"\xef\xbb\xbf" else "latin-1")
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    doctype = re.search(r"<!DOCTYPE[^>]*>", text)
    text = re.sub(r"<!DOCTYPE[^>]*>", "", text)
    try:
        root = etree.fromstring("<wrap>" + text.strip() + "</wrap>")
        return etree.tostring(root, method="c14n", with_comments=True), doctype and doctype[0]
    except etree.XMLSyntaxError:
        return text.strip(), doctype and doctype[0]


def compare(sheet, program):
    golden = sheet.with_suffix(".out").read_bytes()
    answer = subprocess.run(["mono", program, sheet, sheet.parent / "input.xml"], capture_output=True, timeout=60)
    if answer.returncode != 0:
        return f"refused by Microsoft: {answer.stderr.decode()}"
    if golden == answer.stdout or content(golden) == content(answer.stdout):
        return None
    return f"--- ours\n{golden[:1500]}\n--- Microsoft's\n{answer.stdout[:1500]}"


with tempfile.TemporaryDirectory() as folder:
    program = f"{folder}/oracle.exe"
    subprocess.run(["mcs", "-r:System.Xml", f"-out:{program}", here / "Oracle.cs"], check=True)
    sheets = sorted((here.parent / "golden").glob("*/*.xsl"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(zip(sheets, pool.map(lambda sheet: compare(sheet, program), sheets)))
differ = 0
for sheet, difference in results:
    name = f"{sheet.parent.name}/{sheet.stem}"
    if difference and name not in KNOWN:
        differ += 1
        print(f"### {name}\n{difference}")
print(f"{len(results)} compared, {differ} differ, {len(KNOWN)} known to differ")
sys.exit(1 if differ else 0)
