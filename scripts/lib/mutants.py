"""Rewrites a Swift module so that it holds all its mutants at once, each chosen at run time by its number.

A comparison `a >= b` becomes `a >=⊕⊖ b`, an operator of its own with the same precedence that looks up whether its mutant is the one
that runs. Conditions are passed through a function, statements stand in an `if`. So one build is enough for all mutants.
"""

import re
from dataclasses import dataclass

DIGITS = "⊕⊖⊗⊘"

# What an operator may become: the expression of each variant in terms of a and b, and its name in the report.
COMPARISONS = {
    "<": [("a <= b", "<="), ("a > b", ">")],
    "<=": [("a < b", "<"), ("a > b", ">")],
    ">": [("a >= b", ">="), ("a < b", "<")],
    ">=": [("a > b", ">"), ("a < b", "<")],
    "==": [("a != b", "!=")],
    "!=": [("a == b", "==")],
}
ARITHMETIC = {"+": [("a - b", "-"), ("a", "only the left side")], "-": [("a + b", "+"), ("a", "only the left side")]}
ASSIGNMENTS = {"+=": [("a -= b", "-=")], "-=": [("a += b", "+=")]}
LOGIC = {
    "&&": [("try a || b()", "||"), ("a", "only the left side"), ("try b()", "only the right side")],
    "||": [("try a && b()", "&&"), ("a", "only the left side"), ("try b()", "only the right side")],
}
PRECEDENCE = {
    **dict.fromkeys(COMPARISONS, "ComparisonPrecedence"),
    **dict.fromkeys(ARITHMETIC, "AdditionPrecedence"),
    **dict.fromkeys(ASSIGNMENTS, "AssignmentPrecedence"),
    "&&": "LogicalConjunctionPrecedence",
    "||": "LogicalDisjunctionPrecedence",
}
OPERATOR = re.compile(r"(?<=\s)(<=|>=|==|!=|&&|\|\||\+=|-=|<|>|\+|-)(?=\s)")
KEYWORDS = {
    "guard", "if", "for", "while", "switch", "return", "throw", "let", "var", "case", "default", "func", "init", "else", "defer",
    "precondition", "preconditionFailure", "trace", "repeat", "do", "catch", "continue", "break", "import", "struct", "enum",
    "extension", "package", "private", "fileprivate", "static", "mutating", "typealias", "where", "swap",
}
CALL = re.compile(r"(?:try )?(?:_ = )?(?:try )?[A-Za-z_][\w.?]*(?:\[[^\]]*\][\w.?]*)*(?:\.[\w]+)*\(.*\)$", re.S)
ASSIGNMENT = re.compile(r"[A-Za-z_][\w.?]*(?:\[[^\]]*\][\w.?]*)* (?:=|&?\+=|-=) \S.*$", re.S)


@dataclass
class Mutant:
    """One change: where, what stood there and what stands there instead."""

    number: int
    file: str
    line: int
    kind: str
    change: str

    def __str__(self):
        return f"{self.number} {self.file}:{self.line} {self.change}"


def mask(text):
    """The text with comments and string literals blanked out, of the same length."""
    out = list(text)
    at, end = 0, len(text)

    def blank(start, stop):
        for place in range(start, stop):
            if out[place] != "\n":
                out[place] = "\x00"

    while at < end:
        if text.startswith("//", at):
            stop = text.find("\n", at)
            stop = end if stop < 0 else stop
            blank(at, stop)
            at = stop
        elif text.startswith("/*", at):
            stop = text.index("*/", at) + 2
            blank(at, stop)
            at = stop
        elif text.startswith('"""', at):
            stop = text.index('"""', at + 3) + 3
            blank(at, stop)
            at = stop
        elif text[at] == '"':
            stop, depth = at + 1, 0
            while stop < end and (text[stop] != '"' or depth > 0):
                if text.startswith("\\(", stop):
                    depth += 1
                    stop += 1
                elif depth > 0 and text[stop] == "(":
                    depth += 1
                elif depth > 0 and text[stop] == ")":
                    depth -= 1
                elif text[stop] == "\\":
                    stop += 1
                stop += 1
            blank(at, stop + 1)
            at = stop + 1
        else:
            at += 1
    return "".join(out)


def closing(masked, opening):
    """The place of the bracket that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(masked)):
        if masked[place] in "([{":
            depth += 1
        elif masked[place] in ")]}":
            depth -= 1
            if depth == 0:
                return place
    return len(masked) - 1


class Rewriter:
    """Finds the mutants of one file after the other and rewrites it."""

    def __init__(self, dropped=()):
        self.mutants = []
        self.support = []
        self.site = 0
        # Places (file, line, kind) that do not compile with a mutant.
        self.dropped = set(dropped)

    def rewrite(self, name, text):
        self.name = name
        self.text = text
        self.masked = mask(text)
        self.excluded = self.excluded_spans()
        self.insertions = []
        self.replacements = []
        self.alone = []
        self.conditions()
        self.operators()
        self.extremes()
        self.literals()
        self.statements()
        return self.assemble()

    # What is not mutated: contracts with the host, traces and what only they ask, planted bugs, memory set aside.
    def excluded_spans(self):
        spans = []
        for match in re.finditer(r"\b(precondition|preconditionFailure|trace|assert|assertionFailure)\(", self.masked):
            spans.append((match.start(), closing(self.masked, match.end() - 1) + 1))
        for match in re.finditer(r"^.*plantedBugs.*$", self.masked, re.M):
            spans.append(match.span())
        for match in re.finditer(r"^\s*if [^{\n]*(?<!!)\b(?:settings\.)?plantedBugs\.contains\(\.\w+\) \{$", self.masked, re.M):
            spans.append((match.start(), closing(self.masked, match.end() - 1)))
        for match in re.finditer(r"\bif [^{}\n]*\{\s*trace\(", self.masked):
            stop = closing(self.masked, match.end() - 1)
            if self.masked[stop + 1:].lstrip().startswith("}"):
                spans.append((match.start(), stop))
        for match in re.finditer(r"^.*\.reserveCapacity\(.*$|keepingCapacity: \w+", self.masked, re.M):
            spans.append(match.span())
        for match in re.finditer(r"^.*\b(func|extension|import|subscript|operator)\b.*$", self.masked, re.M):
            spans.append((match.start(), match.end()))
        # Without one of its assignments an initializer does not compile.
        self.initializers = []
        for match in re.finditer(r"^.*\binit[?]?\(", self.masked, re.M):
            opening = self.masked.find("{", closing(self.masked, match.end() - 1))
            if opening >= 0 and not re.match(r"\s*(//|let|var|self)", match.group()):
                self.initializers.append((match.start(), closing(self.masked, opening)))
        # So does a first value that is assigned apart from its declaration.
        self.late = set(re.findall(r"^\s*(?:let|var) (\w+): [^=\n{]+$", self.masked, re.M))
        for match in re.finditer(r"checkInvariants\(\)|checkProgress\(\)", self.masked):
            spans.append(match.span())
        return spans

    def is_excluded(self, place):
        return any(start <= place < end for start, end in self.excluded)

    def is_in_initializer(self, place):
        return any(start <= place < end for start, end in self.initializers)

    def line(self, place):
        return self.text.count("\n", 0, place) + 1

    def add(self, place, kind, changes):
        """The number of the first of these mutants, or None where they were dropped."""
        line = self.line(place)
        if (self.name, line, kind) in self.dropped:
            return None
        first = len(self.mutants) + 1
        for change in changes:
            self.mutants.append(Mutant(len(self.mutants) + 1, self.name, line, kind, change))
        self.site += 1
        return first

    def suffix(self):
        number, digits = self.site, ""
        while number or not digits:
            digits += DIGITS[number % 4]
            number //= 4
        return digits

    # MARK: Operators

    def operators(self):
        for match in OPERATOR.finditer(self.masked):
            if self.is_excluded(match.start()):
                continue
            op = match.group()
            for table, kind in ((COMPARISONS, "comparison"), (ARITHMETIC, "arithmetic"), (ASSIGNMENTS, "arithmetic"), (LOGIC, "logic")):
                if op in table:
                    self.operator(match, op, table[op], kind)

    def operator(self, match, op, variants, kind):
        if kind == "comparison" and any(start <= match.start() < end for start, end in self.alone):
            # The condition as a whole becomes true and false: what reverses it adds nothing.
            variants = [variant for variant in variants if variant[1] in ("<=", ">=") or op in ("<=", ">=") and len(variant[1]) == 1][:1]
            if op in ("==", "!="):
                return
        around = self.masked[max(0, match.start() - 3):match.end() + 3]
        if op in "+-" and "\x00" in around:
            return  # strings put together
        first = self.add(match.start(), kind, [f"{op} → {name}" for _, name in variants])
        if first is None:
            return
        new = op + self.suffix()
        body = "\n".join(f"    if isMutant({first + place}) {{ return {code} }}" for place, (code, _) in enumerate(variants))
        self.support.append(f"infix operator {new}: {PRECEDENCE[op]}")
        if op in LOGIC:
            signature = "(a: Bool, b: @autoclosure () throws -> Bool) rethrows -> Bool"
            rest = f"return try a {op} b()"
        elif op in ASSIGNMENTS:
            signature = "<T: AdditiveArithmetic>(a: inout T, b: T)"
            body = "\n".join(f"    if isMutant({first + n}) {{ {code}; return }}" for n, (code, _) in enumerate(variants))
            rest = f"a {op} b"
        else:
            bound = {"comparison": "Equatable" if op in ("==", "!=") else "Comparable"}.get(kind, "AdditiveArithmetic")
            result = "Bool" if kind == "comparison" else "T"
            signature = f"<T: {bound}>(a: T, b: T) -> {result}"
            rest = f"return a {op} b"
        self.support.append(f"@inline(__always) func {new} {signature} {{\n{body}\n    {rest}\n}}")
        if op == "+":
            self.support.append(
                f"@inline(__always) func {new} <T: RangeReplaceableCollection>(a: T, b: T) -> T {{\n"
                f"    if isMutant({first}) {{ return b }}\n    if isMutant({first + 1}) {{ return a }}\n    return a + b\n}}")
        if op == "+=":
            self.support.append(
                f"@inline(__always) func {new} <T: RangeReplaceableCollection, S: Sequence<T.Element>>(a: inout T, b: S) {{\n"
                f"    if isMutant({first}) {{ return }}\n    a += b\n}}")
        self.replacements.append((match.start(), match.end(), new))

    def extremes(self):
        """min and max."""
        for match in re.finditer(r"(?<![.\w])(min|max)\(", self.masked):
            if self.is_excluded(match.start()):
                continue
            name = match.group(1)
            other = "max" if name == "min" else "min"
            first = self.add(match.start(), "extreme", [f"{name}(…) → {other}(…)", f"{name}(…) → its first argument"])
            if first is None:
                continue
            new = f"{name}OfMutant{first}"
            self.support.append(
                f"@inline(__always) func {new}<T: Comparable>(_ a: T, _ b: T) -> T {{\n"
                f"    if isMutant({first}) {{ return {other}(a, b) }}\n    if isMutant({first + 1}) {{ return a }}\n"
                f"    return {name}(a, b)\n}}\n"
                f"@inline(__always) func {new}<T: Comparable>(_ a: T, _ b: T, _ c: T) -> T {{\n"
                f"    if isMutant({first}) {{ return {other}(a, b, c) }}\n    if isMutant({first + 1}) {{ return a }}\n"
                f"    return {name}(a, b, c)\n}}"
            )
            self.replacements.append((match.start(1), match.end(1), new))

    def literals(self):
        """true and false as arguments, results and values."""
        for match in re.finditer(r"(?<=[\s(])(true|false)(?=[\s,)])", self.masked):
            start = self.masked.rfind("\n", 0, match.start()) + 1
            before = self.masked[start:match.start()]
            after = self.masked[match.end():match.end() + 1]
            if self.is_excluded(match.start()) or re.search(r"\b(var|let|case|while)\b", before) or after == "?":
                continue
            if re.match(r"\s+\w+: Bool = $", before):
                continue  # a default of a parameter
            changed = "false" if match.group() == "true" else "true"
            first = self.add(match.start(), "literal", [f"{match.group()} → {changed}"])
            if first is not None:
                self.replacements.append((match.start(), match.end(), f"mutantLiteral({first}, {match.group()})"))

    # MARK: Conditions

    def conditions(self):
        for match in re.finditer(r"\b(guard|if|while)\s", self.masked):
            keyword = match.group(1)
            if self.is_excluded(match.start()):
                continue
            for start, end in self.elements(match.end(), keyword):
                self.condition(start, end, keyword)

    def elements(self, start, keyword):
        """The parts of a condition between its commas."""
        depth, begin, place, found = 0, start, start, []
        while place < len(self.masked):
            char = self.masked[place]
            if depth == 0 and (char == "{" and not self.is_closure(place, keyword) or re.match(r"\belse\b", self.masked[place:place + 5])
                               and not self.masked[place - 1].isalnum()):
                found.append((begin, place))
                break
            if char in "([{":
                depth += 1
            elif char in ")]}":
                depth -= 1
            elif char == "," and depth == 0:
                found.append((begin, place))
                begin = place + 1
            place += 1
        trimmed = []
        for begin, end in found:
            text = self.masked[begin:end]
            begin += len(text) - len(text.lstrip())
            end -= len(text) - len(text.rstrip())
            trimmed.append((begin, end))
        return trimmed

    def is_closure(self, place, keyword):
        """Whether the brace at `place` is a trailing closure and not the body."""
        line = self.masked[self.masked.rfind("\n", 0, place) + 1:place]
        stop = closing(self.masked, place)
        rest = self.masked[stop + 1:stop + 8].lstrip()
        return bool(re.search(r"\.\w+\s?$", line)) and rest.startswith(("??", "!=", "==", ",", "{") + (("else",) if keyword == "guard" else ()))

    def condition(self, start, end, keyword):
        code = self.masked[start:end]
        if re.match(r"(let|var|case|#|try\?)\b", code) or not code.strip() or self.is_excluded(start):
            return
        changes = ["false"] if keyword == "while" else ["true", "false"]
        shown = " ".join(self.text[start:end].split())
        if len(re.findall(r"(?<=\s)(?:<=|>=|==|!=|&&|\|\||<|>)(?=\s)", code)) == 1 and "?" not in code:
            self.alone.append((start, end))
        first = self.add(start, "condition", [f"{keyword} {shown} → {keyword} {value}" for value in changes])
        if first is None:
            return
        name = "mutantLoop" if keyword == "while" else "mutantCondition"
        self.insertions.append((start, 0, f"{name}({first}, "))
        self.insertions.append((end, 1, ")"))

    # MARK: Statements

    def statements(self):
        lines = self.masked.split("\n")
        at, place = 0, 0
        while at < len(lines):
            line = lines[at]
            stripped = line.strip().rstrip("\x00").rstrip()
            start = place + len(line) - len(line.lstrip())
            if re.match(r"(case\b.*?|default): ", stripped) and not stripped.endswith(":"):
                for colon in re.finditer(r": ", stripped):
                    self.statement(start + colon.end(), stripped[colon.end():])
            elif (match := re.search(r"\belse \{ (.*) \}$", stripped)):
                self.statement(start + match.start(1), match.group(1))
            elif stripped and re.match(r"\w+", stripped) and re.match(r"\w+", stripped).group() not in KEYWORDS:
                end = self.statement_end(start)
                self.statement(start, self.masked[start:end])
            place += len(line) + 1
            at += 1

    def statement_end(self, start):
        depth, place = 0, start
        while place < len(self.masked):
            char = self.masked[place]
            if char in "([{":
                depth += 1
            elif char in ")]}":
                depth -= 1
                if depth < 0:
                    return place
            elif char == "\n" and depth == 0:
                following = self.masked[place:].lstrip()
                if not re.match(r"(\.\w|\?\?|[+\-&|?:<>=]+\s)", following) and self.masked[place - 1] not in "=,":
                    return place
            place += 1
        return place

    def statement(self, start, code):
        code = code.rstrip("\x00 ").rstrip()
        word = re.match(r"\w+", code)
        if not word or word.group() in KEYWORDS or self.is_excluded(start) or self.is_in_initializer(start) or not (CALL.match(code) or ASSIGNMENT.match(code)):
            return
        if (assigned := re.match(r"(\w+) = ", code)) and assigned.group(1) in self.late and re.match(r"\w+ = try", code):
            return
        if CALL.match(code) and self.is_value(start, len(code)):
            return
        shown = " ".join(self.text[start:start + len(code)].split())
        first = self.add(start, "statement", [f"removed: {shown}"])
        if first is None:
            return
        self.insertions.append((start, -1, f"if mutantKeeps({first}) {{ "))
        self.insertions.append((start + len(code), 2, " }"))

    def is_value(self, start, length):
        """Whether what looks like a statement is an argument, an element or a result."""
        before = self.masked[:start].rstrip()
        if before.endswith(("(", "[", ",", "=", "return", "?", ":", "&&", "||", "in")) and not re.search(r"(case [^\n]*|default):$", before):
            return not before.endswith("in")
        following = self.masked[start + length:].lstrip()
        return following.startswith((",", ")", "]"))

    # MARK: Putting together

    def assemble(self):
        edits = [(start, 0.5, start, new, end) for start, end, new in self.replacements]
        edits += [(place, order, place, new, place) for place, order, new in self.insertions]
        # At one place: what ends comes before what begins; the outer begins first.
        edits.sort(key=lambda edit: (edit[0], {2: -2, 1: -3, -1: -1, 0: 0, 0.5: 0.5}[edit[1]]))
        out, at = [], 0
        for start, _, _, new, end in edits:
            out.append(self.text[at:start])
            out.append(new)
            at = end
        out.append(self.text[at:])
        return "".join(out)


SUPPORT = """
import Glibc

/// The mutant that runs, or 0 for none.
let chosenMutant: Int = getenv("KV_MUTANT").map { Int(atol($0)) } ?? 0

/// A byte for each mutant: whether it was asked for. A file where KV_MUTANT_REACHED names one.
nonisolated(unsafe) let reached: UnsafeMutablePointer<UInt8> = {
    let size = 1 << 16
    if let path = getenv("KV_MUTANT_REACHED") {
        let file = open(path, O_RDWR | O_CREAT, 0o644)
        _ = ftruncate(file, size)
        if let map = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), map != MAP_FAILED {
            return map.bindMemory(to: UInt8.self, capacity: size)
        }
    }
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
    memory.initialize(repeating: 0, count: size)
    return memory
}()
let notesReached = getenv("KV_MUTANT_REACHED") != nil

@inline(__always) func isMutant(_ number: Int) -> Bool {
    if notesReached { reached[number] = 1 }
    return number == chosenMutant
}

@inline(__always) func mutantLiteral(_ number: Int, _ value: Bool) -> Bool { isMutant(number) ? !value : value }

@inline(__always) func mutantKeeps(_ number: Int) -> Bool { !isMutant(number) }

@inline(__always) func mutantLoop(_ number: Int, _ value: Bool) -> Bool { isMutant(number) ? false : value }

@inline(__always) func mutantCondition(_ number: Int, _ value: Bool) -> Bool {
    if isMutant(number) { return true }
    if isMutant(number + 1) { return false }
    return value
}
"""


def rewrite_module(sources, dropped=()):
    """Rewrites {name: text}; returns the new texts, with what they need beside them, and the mutants."""
    rewriter = Rewriter(dropped)
    texts = {name: rewriter.rewrite(name, text) for name, text in sorted(sources.items())}
    texts["Mutants.swift"] = SUPPORT + "\n" + "\n".join(rewriter.support) + "\n"
    return texts, rewriter.mutants
