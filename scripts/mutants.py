#!/usr/bin/env python3
"""Puts small faults into the code, one at a time, and reports those that no test notices.

usage: mutants.py [--paths src/lab moe/src] [--count 40] [--seed 1] [--all-tests] [--show]

Everything happens in a copy under build/mutants, built without optimization and with coverage. A folder is judged by its
own suites (SUITES), with --all-tests by every fast test. Each test runs there once by itself, so that it is known which
lines it runs; that is done again only when a source or a test changed. A fault is put into a line that some test runs,
and counts as noticed when a test that runs the line fails, crashes or hangs. `tests/mutants-equal.txt` lists faults that
change nothing, each with its reason; they are not put in.
"""
import argparse, collections, concurrent.futures, functools, hashlib, json, os, pathlib, random, re, shutil, signal
import subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build/mutants"
TREE, BUILD, COVERAGE, NOTES = WORK / "tree", WORK / "build", WORK / "coverage", WORK / "notes"
MOST_TEST_S = 120  # of tests per fault and program; beyond it the fault counts as not noticed


# ---- faults: (kind, pattern, replacement); one match in one line is one fault ----

OPERAND = r"[\w.\->:\[\]*!&]+(?:\([^()]*\))?(?: (?:[<>]=?|[!=]=|[+*/-]) [\w.\->:\[\]\"'*!]+(?:\([^()]*\))?)?"
FAULTS = [
    ("comparison turned", r" < ", " <= "), ("comparison turned", r" <= ", " < "),
    ("comparison turned", r" > ", " >= "), ("comparison turned", r" >= ", " > "),
    ("comparison turned", r" == ", " != "), ("comparison turned", r" != ", " == "),
    ("condition dropped", OPERAND + r" (?:&&|\|\|) ", ""), ("condition dropped", r" (?:&&|\|\|) " + OPERAND, ""),
    ("condition dropped", r"!(?=[\w(])", ""),
    ("constant off by one", r"(?<![\w.\"'])\d+(?=[;,)\]} u])", lambda m: str(int(m[0]) + 1)),
    ("sign", r" \+ ", " - "), ("sign", r" - ", " + "), ("sign", r" \+= ", " -= "), ("sign", r" -= ", " += "),
    ("sign", r"\+\+(?=\w)", "--"),
    ("early return gone", r"^\s*(?:if \(.*\) (?:return|continue|break|throw|fail)\b|return;|continue;|break;)[^{}]*;?$", "{}"),
    ("arguments swapped", r"(?<=[\w>]\()([\w.]+), ([\w.]+)(?=[,)])", r"\2, \1"),
    ("true for false", r"\btrue\b", "false"), ("true for false", r"\bfalse\b", "true"),
    ("statement removed", r"^\s*[a-z_][\w.\->\[\]]*(?:\(.*\)| [-+|&*/]?= [^=].*);$", "{}"),
    ("lock removed", r"^\s*(?:const )?std::(?:lock_guard|scoped_lock|unique_lock)\b.*;$", "{}"),
]


def faults_of_line(text):
    """All faults that can be put into a line, as (kind, new text). Strings and comments stay as they are."""
    code = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: '"' + "\0" * (len(m[0]) - 2) + '"', text.rstrip("\n"))
    code = re.sub(r"\s*//.*$", "", code)
    if not code.strip() or code.lstrip().startswith(("#", "using ", "static_assert", "template", "*")):
        return
    for kind, pattern, replacement in FAULTS:
        for match in re.finditer(pattern, code):
            new = match.expand(replacement) if isinstance(replacement, str) else replacement(match)
            start, end = match.span()
            indent = text[: len(text) - len(text.lstrip())] if new == "{}" else ""
            yield kind, text[:start] + indent + new + text[end:]


# ---- the copy, its build, its tests ----

def copy_sources():
    """Brings the copy up to date; files that did not change keep their time. Returns a digest of all of them."""
    digest = hashlib.sha256()
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    present = set()
    for name in sorted(names):
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        data = source.read_bytes()
        present.add(target)
        if name.startswith(("src/", "moe/", "tests/", "CMake", "cmake/")):
            digest.update(name.encode() + data)
        if not target.is_file() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            shutil.copymode(source, target)
    for stale in [f for f in TREE.rglob("*") if f.is_file() and f not in present]:
        stale.unlink()
    return digest.hexdigest()


def build(targets, quiet=True):
    return subprocess.run(["nice", "ninja", "-C", BUILD, "-j", str(os.cpu_count()), *targets], stdout=subprocess.DEVNULL if quiet else None,
                          stderr=subprocess.DEVNULL if quiet else None,
                          env={**os.environ, "GCOV_PREFIX": "/dev/null"}).returncode == 0  # tests list themselves when built


def best_kernels():
    """Of libggml-moe's instruction sets besides scalar that have kernels of every type, the best one that this machine has."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    needs = [("amx", "amx_int8"), ("avx512", "avx512_vnni"), ("avxvnni", "avx_vnni")]
    return next((name for name, flag in needs if flag in flags), "avx2")


# The suites (first words of a test's name) that judge a folder, if not the one of its name alone. The kernels have tests that
# take seconds without optimization; through the plugin, scalar ones take minutes.
SUITES = {"hub": ["hub", "publish"], "serve": ["serve", "e2e"], "cli": ["cli", "e2e"], "kernels": ["moe.kernels"],
          "moe": ["moe.unit", "moe.own-threads", "moe.backend-ops", "moe." + best_kernels()]}
PROGRAMS = {"moe.kernels": "ggml-moe-unit-test", "moe.unit": "ggml-moe-unit-test", "moe.backend-ops": "ggml-moe-backend-ops",
            "moe.own-threads": "ggml-moe-test", "moe." + best_kernels(): "ggml-moe-test"}

# What a test program runs, besides itself.
NEEDS = {name: ["bin/shimmy", "ggml-moe"] for name in ("e2e_tests", "publish_tests", "engine_tests", "lab_tests", "cli_tests")}
NEEDS["ggml-moe-test"] = NEEDS["ggml-moe-backend-ops"] = ["ggml-moe"]


class Test:
    def __init__(self, entry):
        properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
        self.name = entry["name"]
        self.command = entry.get("command", [])
        self.environment = tuple(properties.get("ENVIRONMENT", []))
        self.directory = properties.get("WORKING_DIRECTORY", str(BUILD))
        self.labels = properties.get("LABELS", [])
        self.program = self.command[0] if self.command else ""
        self.coverage = COVERAGE / re.sub(r"\W", "_", self.name)
        self.seconds = 1.0

    def env(self, **more):
        return {**os.environ, **dict(e.split("=", 1) for e in self.environment), **more}


def run(command, directory, env, limit_s):
    """The exit code, or None if it took too long. Ends all that the command started."""
    process = subprocess.Popen(command, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def folder_of(path):
    return "moe/src/kernels" if path.startswith("moe/src/kernels/") else "/".join(path.split("/")[:2])


def layer_of(path):
    folder = folder_of(path)
    return "moe" if folder == "moe/src" else folder.split("/")[-1]


def suites_of(paths):
    """The suites that judge these files."""
    return {suite for path in paths for suite in SUITES.get(layer_of(path), [layer_of(path)])}


def read_tests(suites):
    """The fast tests of some suites; of all if there are none."""
    if suites:  # what is not built has no tests yet: build the programs, then ask
        programs = {"bin/" + PROGRAMS.get(suite, f"{suite}_tests") for suite in suites}
        known = subprocess.check_output(["ninja", "-C", BUILD, "-t", "targets", "all"], text=True)
        programs = {p for p in programs if f"\n{p}: " in known}
        needs = {n for p in programs for n in NEEDS.get(pathlib.Path(p).name, [])}
        ready = build([*programs, *needs], quiet=False)
    else:
        ready = build(["all"], quiet=False)
    if not ready:
        sys.exit("mutants: the copy does not build")
    listing = json.loads(subprocess.check_output(["ctest", "--test-dir", BUILD, "--show-only=json-v1"]))
    tests = [t for t in map(Test, listing["tests"]) if t.command and "slow" not in t.labels]
    return [t for t in tests if not suites or any(f"{t.name}.".startswith(f"{suite}.") for suite in suites)]


def cover(tests, digest):
    """Runs every test by itself, with counters of its own. Tests that fail without a fault are left out."""
    seconds_file = COVERAGE / "seconds.json"
    known = json.loads(seconds_file.read_text()) if seconds_file.exists() else {}
    if known.get("digest") != digest:
        shutil.rmtree(COVERAGE, ignore_errors=True)
        known = {"digest": digest, "seconds": {}}
    COVERAGE.mkdir(parents=True, exist_ok=True)

    def one(test):
        shutil.rmtree(test.coverage, ignore_errors=True)
        start = time.monotonic()
        code = run(test.command, test.directory, test.env(GCOV_PREFIX=str(test.coverage)), 600)
        return test.name, time.monotonic() - start if code == 0 else None

    new = [t for t in tests if t.name not in known["seconds"]]
    print(f"mutants: running {len(new)} tests for the lines they run", flush=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        known["seconds"].update(pool.map(one, new))
    seconds_file.write_text(json.dumps(known))
    for test in tests:
        test.seconds = known["seconds"][test.name]
    failed = [t.name for t in tests if t.seconds is None]
    if failed:
        print(f"mutants: left out, since they fail without a fault: {', '.join(failed)}")
    return [t for t in tests if t.seconds is not None]


def keep_notes():
    """Copies what the compiler noted for gcov: a build with a fault writes it anew, and other lines of a header need it still."""
    for notes in BUILD.rglob("*.gcno"):
        kept = NOTES / notes.relative_to(BUILD)
        if not kept.exists() or kept.stat().st_mtime != notes.stat().st_mtime:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(notes, kept)


MOST_OBJECTS = 6  # that are asked for the lines of a header


@functools.cache
def objects_of(path):
    """The objects that a source file is compiled into; of a header, some of the sources that include it, nearest first."""
    dependencies = subprocess.check_output(["ninja", "-C", BUILD, "-t", "deps"], text=True)
    objects, current = [], None
    for line in dependencies.splitlines():
        if line and not line.startswith(" "):
            current = line.split(":")[0]
        elif line.strip().endswith("tree/" + path):
            objects.append(current)
    stem = path.rsplit(".", 1)[0]
    folder = stem.rsplit("/", 1)[0]
    objects.sort(key=lambda o: (not o.endswith(stem.removeprefix("src/") + ".cpp.o"), folder.removeprefix("src/") not in o))
    return objects[:MOST_OBJECTS]


def lines_run(test, path):
    """The lines of a file that a test runs."""
    lines = set()
    for object_file in objects_of(path):
        counters = pathlib.Path(str(test.coverage) + str(BUILD / object_file)).with_suffix(".gcda")
        if not counters.exists():
            continue
        notes = (NOTES / object_file).with_suffix(".gcno")
        shutil.copyfile(notes, counters.with_suffix(".gcno"))
        output = subprocess.run(["gcov", "--json-format", "--stdout", counters.name], cwd=counters.parent,
                                capture_output=True, text=True).stdout
        for document in output.splitlines():
            for file in json.loads(document)["files"]:
                if file["file"].endswith("tree/" + path):
                    lines |= {l["line_number"] for l in file["lines"] if l["count"] > 0}
    return lines


@functools.cache
def tests_by_line(path):
    result = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for test, lines in zip(ALL_TESTS, pool.map(lambda t: lines_run(t, path), ALL_TESTS)):
            for line in lines:
                result[line].append(test)
    return result


# ---- one fault ----

def fails(test):
    return run(test.command, test.directory, test.env(GCOV_PREFIX="/dev/null"), 3 * test.seconds + 10) != 0


def noticed(path, tests):
    """True or False; None if the program does not build with the fault."""
    order = sorted(tests, key=lambda t: (not t.name.startswith(layer_of(path) + "."), t.seconds))
    built, spent_s = set(), 0.0
    while order and spent_s < MOST_TEST_S:
        program = order[0].program
        if program not in built:  # tests of one program after another: each needs its build
            if not build([os.path.relpath(program, BUILD), *NEEDS.get(pathlib.Path(program).name, [])]):
                return None
            built.add(program)
        group = [t for t in order if t.program == program][:8]
        order = [t for t in order if t not in group]
        spent_s += sum(t.seconds for t in group)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            if any(pool.map(fails, group)):
                return True
    return False


def read_equal():
    """The faults that change nothing, as patterns of `path: line as it is => line with its fault`."""
    file = ROOT / "tests/mutants-equal.txt"
    entries = [l.split(" ## ") for l in file.read_text().splitlines() if l and l[0] != "#"]
    for entry in entries:
        if len(entry) != 2:
            sys.exit(f"mutants: {file}: a line is `pattern ## reason`, got: {' ## '.join(entry)}")
    return [re.compile(pattern) for pattern, _ in entries]


def candidates(paths):
    files = subprocess.check_output(["git", "ls-files", *paths], cwd=ROOT, text=True).splitlines()
    equal = read_equal()
    for path in files:
        if path.endswith((".cpp", ".h")) and "/tests/" not in path:
            for number, text in enumerate((ROOT / path).read_text().splitlines(), 1):
                for kind, new in faults_of_line(text):
                    if not any(e.search(f"{path}: {text.strip()} => {new.strip()}") for e in equal):
                        yield path, number, kind, text, new


def try_fault(path, number, new):
    file = TREE / path
    original = file.read_text()
    lines = original.splitlines()
    lines[number - 1] = new
    file.write_text("\n".join(lines) + "\n")
    try:
        return noticed(path, tests_by_line(path)[number])
    finally:
        file.write_text(original)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", nargs="+", default=["src", "moe/src"], help="folders or files")
    parser.add_argument("--count", type=int, default=40, help="faults in each of src/*, moe/src and moe/src/kernels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all-tests", action="store_true", help="judge by every fast test, not by the folders' own suites")
    parser.add_argument("--show", action="store_true", help="list every fault that could be put in, and end")
    options = parser.parse_args()

    by_folder = collections.defaultdict(list)
    for candidate in candidates(options.paths):
        by_folder[folder_of(candidate[0])].append(candidate)
    if options.show:
        for path, number, kind, text, new in sum(by_folder.values(), []):
            print(f"{path}:{number}: {kind}\n  - {text.strip()}\n  + {new.strip()}")
        return

    digest = copy_sources()
    subprocess.run(["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DSHIMMY_COVERAGE=ON",
                    "-DSHIMMY_WERROR=OFF", f"-DGGML_MOE_KERNELS=avx2;{best_kernels()}", f"-DSHIMMY_GPU={os.environ.get('GPU', 'vulkan')}"],
                   check=True, stdout=subprocess.DEVNULL)
    print("mutants: building the copy", flush=True)
    global ALL_TESTS
    ALL_TESTS = read_tests(set() if options.all_tests else suites_of(c[0] for cs in by_folder.values() for c in cs))
    keep_notes()
    ALL_TESTS = cover(ALL_TESTS, digest)

    scores = {}
    for folder, found in sorted(by_folder.items()):
        random.Random(options.seed).shuffle(found)
        n_noticed, survivors = 0, []
        for path, number, kind, text, new in found:
            if n_noticed + len(survivors) == options.count:
                break
            if not tests_by_line(path).get(number):
                continue
            result = try_fault(path, number, new)
            if result is None:
                continue
            n_noticed += result
            if not result:
                survivors.append(path)
                print(f"\nnot noticed: {path}:{number}: {kind}\n  - {text.strip()}\n  + {new.strip()}", flush=True)
        if n_noticed + len(survivors):
            scores[folder] = (n_noticed, n_noticed + len(survivors))
            print(f"\n{folder}: {n_noticed} of {scores[folder][1]} noticed", flush=True)
    print("\n" + "\n".join(f"{100 * n // total:4d}%  {n:3d} of {total:3d}  {folder}" for folder, (n, total) in scores.items()))


if __name__ == "__main__":
    main()
