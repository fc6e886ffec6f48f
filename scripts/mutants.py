#!/usr/bin/env python3
"""Puts small faults into the code and reports those that no test notices.

usage: mutants.py [--paths src/lab moe/src] [--count 40] [--seed 1] [--all-tests] [--show]

All faults of a run are written into one copy of the code under build/mutants, each behind a switch
(tests/mutants/switch.h), so that they are built once; the environment says which one is there. Every test runs once
without a fault, to learn which faults it comes by; then, fault by fault, those that come by it. A fault counts as
noticed when one of them fails, crashes or hangs; one that no test comes by does not count. A folder is judged by its own
suites (SUITES), with --all-tests by every fast test. tests/mutants/equal.txt lists faults that change nothing, each with
its reason; they are not put in.
"""
import argparse, collections, concurrent.futures, json, os, pathlib, random, re, shutil, signal, subprocess, sys, tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TREE = ROOT / "build/mutants"
BUILD = TREE / "build/release"  # as far from the sources as the build itself, so that ccache knows what has no fault
SWITCH = "tests/mutants/switch.h"
MOST_TEST_S = 300  # of tests per fault; beyond it the fault counts as not noticed
MANY = 3           # times as many faults as are asked for are built: some do not compile, no test comes by some


# ---- faults ----

OPERAND = r"[\w.\->:\[\]*!&]+(?:\([^()]*\))?(?: (?:[<>]=?|[!=]=|[+*/-]) [\w.\->:\[\]\"'*!]+(?:\([^()]*\))?)?"
CONSTANT = r"^(\s*(?:inline |static )*)constexpr ([\w:]+) (\w+) = ([^{}]+);"
LOCK = r"^(\s*)(?:const )?std::(?:lock_guard|scoped_lock|unique_lock)(?:<[^>]*>)? (\w+)\((.*)\);$"
WHOLE = None

# (kind, pattern, what a fault makes of it, the same behind a switch). In the last, N is the fault's number; where it is
# WHOLE, the line is a statement, and is there once as it was and once as it would be.
FAULTS = [
    ("comparison turned", r" < ", " <= ", " < fault::LessOr{N} < "),
    ("comparison turned", r" <= ", " < ", " <= fault::OnlyLess{N} <= "),
    ("comparison turned", r" > ", " >= ", " > fault::MoreOr{N} > "),
    ("comparison turned", r" >= ", " > ", " >= fault::OnlyMore{N} >= "),
    ("comparison turned", r" == ", " != ", " == fault::Unequal{N} == "),
    ("comparison turned", r" != ", " == ", " != fault::Equal{N} != "),
    ("condition dropped", f"({OPERAND}) && ", "", r"(fault::on(N) || (\1)) && "),
    ("condition dropped", f"({OPERAND}) \\|\\| ", "", r"(!fault::on(N) && (\1)) || "),
    ("condition dropped", f" && ({OPERAND})", "", r" && (fault::on(N) || (\1))"),
    ("condition dropped", f" \\|\\| ({OPERAND})", "", r" || (!fault::on(N) && (\1))"),
    ("condition dropped", r"!(?=[\w(])", "", "fault::MaybeNot{N} % "),
    ("constant off by one", r"(?<![\w.\"'])(\d+)(?=[;,)\]} ])", lambda m: str(int(m[0]) + 1), r"(\1 + fault::one(N))"),
    ("sign", r" \+ ", " - ", " + fault::Minus{N} + "), ("sign", r" - ", " + ", " - fault::Plus{N} - "),
    ("sign", r" \+= ", " -= ", WHOLE), ("sign", r" -= ", " += ", WHOLE),
    ("sign", r"\+\+([\w.\->]+)", r"--\1", r"(fault::on(N) ? --\1 : ++\1)"),
    ("early return gone", r"^\s*(?:if \(.*\) (?:\{ )?(?:return|continue|break|throw|fail)\b|return;|continue;|break;)[^{}]*(?: \})?$", "{}", WHOLE),
    ("arguments swapped", r"(?<=[\w>]\()([\w.]+), ([\w.]+)(?=[,)])", r"\2, \1", r"fault::pick(N, \1, \2), fault::pick(N, \2, \1)"),
    ("true for false", r"\btrue\b", "false", "(!fault::on(N))"), ("true for false", r"\bfalse\b", "true", "fault::on(N)"),
    ("statement removed", r"^\s*[a-z_][\w.\->\[\]]*(?:\(.*\)| [-+|&*/]?= [^=].*);$", "{}", WHOLE),
    ("lock removed", LOCK, "{}", r"\1std::unique_lock \2(\3); if (fault::on(N)) \2.unlock();"),
]
Fault = collections.namedtuple("Fault", "path line kind old new switched")


def is_statement(code, line_before):
    """Whether a line is a whole statement, so that it can stand in braces."""
    whole = all(code.count(a) == code.count(b) for a, b in ("()", "{}", "[]"))
    begins = not line_before or line_before.endswith((";", "{", "}", ":")) or re.match(r"(\} )?(else )?(if|for|while) \(.*\)$|(\} )?else$", line_before)
    return whole and bool(begins) and code.endswith((";", "}"))


def is_condition(code, start, end):
    """Whether what is dropped is a whole operand of && or ||."""
    before, after = code[:start].rstrip(), code[end:].lstrip()
    return (not before or before.endswith(("(", "&&", "||", "return", "=", "?", "{", ","))) and (
        code[end - 1] == " " or not after or after.startswith((")", "&&", "||", ";", "?", ",", "}"))) or code[start] == "!"


def faults_of_line(path, number, text, line_before):
    """All faults that can be put into a line. Strings and comments stay as they are."""
    code = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: '"' + "\0" * (len(m[0]) - 2) + '"', text)
    code = re.sub(r"\s*//.*$", "", code)
    if not code.strip() or code.lstrip().startswith(("#", "using ", "static_assert", "template", "*")):
        return
    for kind, pattern, would_be, switch in FAULTS:
        for match in re.finditer(pattern, code):
            start, end = match.span()
            if "\0" in match[0] and would_be != "{}" or kind == "condition dropped" and not is_condition(code, start, end):
                continue

            def line_with(replacement):
                return text[:start] + (replacement(match) if callable(replacement) else match.expand(replacement)) + text[end:]
            new = line_with(would_be)
            constant, other = re.match(CONSTANT, code), re.match(CONSTANT, new)
            if constant and other:
                begin, of, name, value = constant.groups()
                yield Fault(path, number, kind, text, new, f"{begin}const fault::Constant<{of}> {name}{{N, {value}, {other[4]}}};")
            elif switch is not WHOLE:
                yield Fault(path, number, kind, text, new, line_with(switch))
            elif is_statement(code, line_before):
                yield Fault(path, number, kind, text, new, f"{{ if (fault::on(N)) {{ {new[:len(new) - len(text) + len(code)]} }} else {{ {text[:len(code)]} }} }}")


def switched(fault, n):
    """The line in which fault n can be switched on."""
    return re.sub(r"\b(fault::[\w<>: ]+[({])N\b", rf"\g<1>{n}", fault.switched)


def read_equal():
    """The faults that change nothing, as patterns of `path: line as it is => line with its fault`."""
    file = ROOT / "tests/mutants/equal.txt"
    entries = [l.split(" ## ") for l in file.read_text().splitlines() if l and l[0] != "#"]
    for entry in entries:
        if len(entry) != 2:
            sys.exit(f"mutants: {file}: a line is `pattern ## reason`, got: {' ## '.join(entry)}")
    return [re.compile(pattern) for pattern, _ in entries]


def folder_of(path):
    return "moe/src/kernels" if path.startswith("moe/src/kernels/") else "/".join(path.split("/")[:2])


def faults_by_folder(paths):
    """All faults that may change something, by folder, in the order of the code."""
    equal, result = read_equal(), collections.defaultdict(list)
    for path in subprocess.check_output(["git", "ls-files", *paths], cwd=ROOT, text=True).splitlines():
        if not path.endswith((".cpp", ".h")) or "/tests/" in path:
            continue
        line_before = ""
        for number, text in enumerate((ROOT / path).read_text().splitlines(), 1):
            for fault in faults_of_line(path, number, text, line_before):
                if not any(e.search(f"{path}: {text.strip()} => {fault.new.strip()}") for e in equal):
                    result[folder_of(path)].append(fault)
            line_before = re.sub(r"\s*//.*$", "", text).strip()
    return result


def some_of(faults, count, seed):
    """Faults drawn by chance, not two in one line."""
    drawn, lines = [], set()
    random.Random(seed).shuffle(faults)
    for fault in faults:
        if (fault.path, fault.line) not in lines and len(drawn) < count:
            lines.add((fault.path, fault.line))
            drawn.append(fault)
    return drawn


# ---- the copy and its build ----

def write_copy(faults):
    """Brings the copy up to date, with the faults in it; files that did not change keep their time."""
    by_file = collections.defaultdict(dict)
    for n, fault in faults.items():
        by_file[fault.path][fault.line] = switched(fault, n)
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    present = set()
    for name in sorted(names):
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        data = source.read_bytes()
        if name in by_file:
            lines = data.decode().splitlines()
            for number, line in by_file[name].items():
                lines[number - 1] = line
            data = ("\n".join([f'#include "{TREE / SWITCH}"', "#line 1", *lines]) + "\n").encode()
        present.add(target)
        if not target.is_file() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            shutil.copymode(source, target)
    for folder in [f for f in TREE.iterdir() if f.is_dir() and f.name != "build"]:
        for stale in [f for f in folder.rglob("*") if f.is_file() and f not in present]:
            stale.unlink()


def build(targets):
    """Builds, and returns what the compiler said if it did not work."""
    command = ["nice", "ninja", "-C", BUILD, "-k", "0", "-j", str(os.cpu_count()), *targets]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout if done.returncode else None


def build_with(faults, targets):
    """Writes and builds the copy without those faults that do not compile, which it takes out of `faults`."""
    while True:
        write_copy(faults)
        said = build(targets)
        if said is None:
            return
        named = {(m[1], int(m[2])) for m in re.finditer(r"((?:src|moe)/[\w./-]+):(\d+)", said)}
        files = {path for path, _ in named}
        broken = [n for n, f in faults.items() if (f.path, f.line) in named] or [n for n, f in faults.items() if f.path in files]
        if not broken:
            sys.exit("mutants: the copy does not build:\n" + said[-4000:])
        for n in broken:
            del faults[n]
        print(f"mutants: {len(broken)} faults do not compile, {len(faults)} are left", flush=True)


def best_kernels():
    """Of libggml-moe's instruction sets that have kernels of every type, the best one that this machine has."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    needs = [("amx", "amx_int8"), ("avx512", "avx512_vnni"), ("avxvnni", "avx_vnni")]
    return next((name for name, flag in needs if flag in flags), "avx2")


# The suites (first words of a test's name) that judge a folder, if not the one of its name alone. The first knows it best.
SUITES = {"hub": ["hub", "publish"], "serve": ["serve", "e2e"], "cli": ["cli", "e2e"], "kernels": ["moe.kernels"],
          "moe": ["moe.unit", "moe.own-threads", "moe.backend-ops", "moe." + best_kernels()]}
PROGRAMS = {"moe.kernels": "ggml-moe-unit-test", "moe.unit": "ggml-moe-unit-test", "moe.backend-ops": "ggml-moe-backend-ops",
            "moe.own-threads": "ggml-moe-test", "moe." + best_kernels(): "ggml-moe-test"}

# What a test program runs, besides itself.
NEEDS = {name: ["bin/shimmy", "ggml-moe"] for name in ("e2e_tests", "publish_tests", "engine_tests", "lab_tests", "cli_tests")}
NEEDS["ggml-moe-test"] = NEEDS["ggml-moe-backend-ops"] = ["ggml-moe"]


def suites_of(folder):
    layer = "moe" if folder == "moe/src" else folder.split("/")[-1]
    return SUITES.get(layer, [layer])


def targets_of(suites):
    programs = {"bin/" + PROGRAMS.get(suite, f"{suite}_tests") for suite in suites}
    known = subprocess.check_output(["ninja", "-C", BUILD, "-t", "targets", "all"], text=True)
    programs = {p for p in programs if f"\n{p}: " in known}
    return sorted(programs | {n for p in programs for n in NEEDS.get(pathlib.Path(p).name, [])})


# ---- tests ----

class Test:
    def __init__(self, entry):
        properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
        self.name = entry["name"]
        self.command = entry.get("command", [])
        self.environment = dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", []))
        self.directory = properties.get("WORKING_DIRECTORY", str(BUILD))
        self.labels = properties.get("LABELS", [])
        self.seconds, self.reaches = 1.0, set()

    def passes(self, limit_s, **more):
        """Runs it, and ends all that it started."""
        process = subprocess.Popen(self.command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True,
                                   env={**os.environ, "OMP_WAIT_POLICY": "passive", "GTEST_FAIL_FAST": "1", **self.environment, **more})
        try:
            return process.wait(limit_s) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def is_of(self, suite):
        return f"{self.name}.".startswith(f"{suite}.")

    def fails_with(self, fault):
        return not self.passes(3 * self.seconds + 10, SHIMMY_FAULT=str(fault))


def read_tests(suites):
    """The fast tests of some suites; of all if there are none."""
    listing = json.loads(subprocess.check_output(["ctest", "--test-dir", BUILD, "--show-only=json-v1"]))
    tests = [t for t in map(Test, listing["tests"]) if t.command and "slow" not in t.labels]
    return [t for t in tests if not suites or any(map(t.is_of, suites))]


def learn(tests, pool):
    """Runs each test without a fault, for how long it takes and which faults it comes by. Leaves out those that fail."""
    def one(test):
        with tempfile.NamedTemporaryFile() as reached:
            reached.truncate(1 << 16)
            start = time.monotonic()
            passed = test.passes(600, SHIMMY_REACHED=reached.name)
            test.seconds = time.monotonic() - start
            test.reaches = {n for n, byte in enumerate(pathlib.Path(reached.name).read_bytes()) if byte}
            return passed

    print(f"mutants: running {len(tests)} tests to learn which faults they come by", flush=True)
    passed = list(pool.map(one, tests))
    failed = [test.name for test, p in zip(tests, passed) if not p]
    if failed:
        print(f"mutants: left out, since they fail without a fault: {', '.join(failed)}")
    return [test for test, p in zip(tests, passed) if p]


def noticed(n, own_suite, tests, pool):
    """Whether one of the tests that come by fault n fails with it. The folder's own come first, then the shortest."""
    order = sorted((t for t in tests if n in t.reaches), key=lambda t: (not t.is_of(own_suite), t.seconds))
    spent_s = 0.0
    while order and spent_s < MOST_TEST_S:
        group, order = order[:4], order[4:]
        spent_s += sum(t.seconds for t in group)
        if any(pool.map(lambda t: t.fails_with(n), group)):
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", nargs="+", default=["src", "moe/src"], help="folders or files")
    parser.add_argument("--count", type=int, default=40, help="faults in each of src/*, moe/src and moe/src/kernels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all-tests", action="store_true", help="judge by every fast test, not by the folders' own suites")
    parser.add_argument("--show", action="store_true", help="list every fault that could be put in, and end")
    options = parser.parse_args()

    by_folder = faults_by_folder(options.paths)
    if options.show:
        for fault in sum(by_folder.values(), []):
            print(f"{fault.path}:{fault.line}: {fault.kind}\n  - {fault.old.strip()}\n  + {fault.new.strip()}")
        return
    drawn = [f for _, faults in sorted(by_folder.items()) for f in some_of(faults, MANY * options.count, options.seed)]
    faults = dict(enumerate(drawn))

    write_copy(faults)
    subprocess.run(["cmake", "--preset", "release", f"-DSHIMMY_GPU={os.environ.get('GPU', 'vulkan')}"], cwd=TREE, check=True,
                   stdout=subprocess.DEVNULL)
    print(f"mutants: building a copy with {len(faults)} faults", flush=True)
    suites = [] if options.all_tests else sorted({suite for folder in by_folder for suite in suites_of(folder)})
    build_with(faults, targets_of(suites) if suites else ["all"])

    scores = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tests = learn(read_tests(suites), pool)
        reached = set().union(*(t.reaches for t in tests))
        for folder in sorted(by_folder):
            tried = [n for n, f in faults.items() if folder_of(f.path) == folder and n in reached][:options.count]
            n_noticed = 0
            for n in tried:
                if noticed(n, suites_of(folder)[0], tests, pool):
                    n_noticed += 1
                else:
                    f = faults[n]
                    print(f"\nnot noticed: {f.path}:{f.line}: {f.kind}\n  - {f.old.strip()}\n  + {f.new.strip()}", flush=True)
            if tried:
                scores[folder] = (n_noticed, len(tried))
                print(f"\n{folder}: {n_noticed} of {len(tried)} noticed", flush=True)
    print("\n" + "\n".join(f"{100 * n // total:4d}%  {n:3d} of {total:3d}  {folder}" for folder, (n, total) in scores.items()))


if __name__ == "__main__":
    main()
