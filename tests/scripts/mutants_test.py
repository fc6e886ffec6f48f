#!/usr/bin/env python3
"""The faults of scripts/mutants.py behind switches do what the faults do, and nothing while they are off.

usage: mutants_test.py SOURCE_DIR COMPILER

Every fault of a small function is compiled twice, as text and behind its switch. Both get the same arguments, and have to
give the same results.
"""
import importlib.util, pathlib, subprocess, sys, tempfile

source_dir, compiler = pathlib.Path(sys.argv[1]), sys.argv[2]
spec = importlib.util.spec_from_file_location("mutants", source_dir / "scripts/mutants.py")
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)

FUNCTION = """
static constexpr int MOST = 40;  // so much
int f(int a, int b, bool c) {
    int    sum = 0;
    double part = 1.5;
    if (a < b) { sum += 5; }
    if (a == 5) { return MOST; }
    if (a <= b && c) { sum += 7; }
    if (c || a > 2 || b == 3) { sum -= 11; }
    if (!c && a != 4) { return sum; }
    if (a == -1) return 13;
    if (a >= b) {
        sum = largest(a, b) + largest(sum, 2) - b;
    } else if (!(a == 1)) {
        sum = largest(-a, sum);
    }
    for (int i = 0; i < 3; ++i) {
        if (i == a) { continue; }
        sum += (c ? 17 : 19) + i;
        if (sum > 30 || !known("a < b; // none", i)) {
            break;
        }
    }
    part += sum;
    const bool odd = true;
    hold(mutex_);
    const std::lock_guard lock(mutex_);
    sum += mutex_.is_held ? 100 : 200;
    return sum + int(part) + largest(sum - 1,
        b + 23) + (odd ? 1 : 0);
}
"""
AROUND = """
#include <cstdio>
struct Mutex { bool is_held = false; void lock() { is_held = true; } void unlock() { is_held = false; } } mutex_;
void hold(Mutex & mutex) { mutex.is_held = false; }
int largest(int a, int b) { return a > 2 * b ? a : b; }
bool known(const char * name, int i) { return name[i] == ("a < b; // none")[0] || i > 0; }
"""
ARGUMENTS = [(a, b, c) for a in (-1, 1, 2, 3, 4, 5) for b in (1, 2, 3, 4) for c in ("false", "true")]


def faults_of(function):
    found, line_before = [], ""
    for number, text in enumerate(function.splitlines(), 1):
        found += mutants.faults_of_line("f.cpp", number, text, line_before)
        line_before = text.strip()
    return found


def with_line(line, text):
    lines = FUNCTION.splitlines()
    lines[line - 1] = text
    return "\n".join(lines)


def main():
    faults = faults_of(FUNCTION)
    kinds = {fault.kind for fault in faults}
    missing = {kind for kind, *_ in mutants.FAULTS} - kinds
    if missing:
        sys.exit(f"the function has no place for: {', '.join(sorted(missing))}")

    code = ["#include <mutex>", f'#include "{source_dir / mutants.SWITCH}"', AROUND]
    tables = []
    for n, fault in enumerate(faults):
        code += [f"namespace as_text_{n} {{ {with_line(fault.line, fault.new)} }}",
                 f"namespace switched_{n} {{ {with_line(fault.line, mutants.switched(fault, n))} }}"]
        tables.append(f"{{ as_text_{n}::f, switched_{n}::f }}")
    code += [f"namespace unharmed {{ {FUNCTION} }}", f"""
int main() {{
    int (*both[][2])(int, int, bool) = {{ {', '.join(tables)} }};
    const struct {{ int a, b; bool c; }} arguments[] = {{ {', '.join('{%d, %d, %s}' % args for args in ARGUMENTS)} }};
    for (int n = 0; n < {len(faults)}; ++n) {{
        bool differs = false;
        for (const auto & [a, b, c] : arguments) {{
            fault::the_switch().number = -1;
            if (both[n][1](a, b, c) != unharmed::f(a, b, c)) {{ std::printf("%d off %d %d %d\\n", n, a, b, c); }}
            fault::the_switch().number = n;
            if (both[n][1](a, b, c) != both[n][0](a, b, c)) {{ std::printf("%d on %d %d %d\\n", n, a, b, c); }}
            differs = differs || both[n][0](a, b, c) != unharmed::f(a, b, c);
        }}
        if (differs) {{ std::printf("%d differs\\n", n); }}
    }}
}}"""]
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "faults.cpp", pathlib.Path(folder) / "faults"
        source.write_text("\n".join(code))
        subprocess.run([compiler, "-std=c++20", "-w", source, "-o", program], check=True)
        printed = [line.split() for line in subprocess.check_output([program], text=True, timeout=60).splitlines()]
    wrong = [line for line in printed if line[1] != "differs"]
    for n, state, *arguments in wrong:
        fault = faults[int(n)]
        print(f"wrong while {state}, f({', '.join(arguments)}): {fault.kind}\n  {fault.new.strip()}\n  {mutants.switched(fault, int(n)).strip()}")
    changing = [faults[int(n)] for n, state, *_ in printed if state == "differs"]
    without_effect = kinds - {fault.kind for fault in changing}
    print(f"{len(faults)} faults, {len(changing)} of them change a result; of these kinds none: {', '.join(without_effect) or '-'}")
    if wrong or without_effect:
        sys.exit(1)


main()
