#pragma once

// Faults that scripts/mutants.py writes into a copy of the code, all in one build; the environment says which one is
// there.
//
// SHIMMY_FAULT    the fault's number; without it, the code does what it did
// SHIMMY_REACHED  a file, one byte for each fault, in which a 1 is left for those that the process came by

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cstdlib>
#include <mutex>
#include <utility>

// What the compiler warns of in a file with a fault says nothing about the file.
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wduplicated-branches"

namespace fault {

inline constexpr int N_FAULTS = 1 << 16;

struct Switch {
    int number = -1;
    char * reached = nullptr;  // [N_FAULTS], shared with all processes of a test

    Switch() {
        if (const char * text = std::getenv("SHIMMY_FAULT")) {
            number = std::atoi(text);
        }
        if (const char * path = std::getenv("SHIMMY_REACHED")) {
            const int file = ::open(path, O_RDWR | O_CLOEXEC);
            if (file < 0) {
                return;
            }
            void * memory = ::mmap(nullptr, N_FAULTS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            ::close(file);
            if (memory != MAP_FAILED) {
                reached = static_cast<char *>(memory);
            }
        }
    }
};

inline Switch & the_switch() {
    static Switch it;
    return it;
}

inline const bool opened = (the_switch(), true);  // before a model's process gives away the right to open files

/** Whether fault n is there. Notes that the code came by. */
inline bool on(int n) {
    const Switch & it = the_switch();
    if (it.reached != nullptr) {
        it.reached[n] = 1;
    }
    return it.number == n;
}

/** A constant that is looked at while the program runs. */
template <class T>
struct Constant {
    int n;
    T is, would_be;
    operator T() const { return on(n) ? would_be : is; }
};

/** 1 where the fault is there. */
inline int one(int n) {
    return on(n) ? 1 : 0;
}

/** The first of two arguments; the second where the fault is there. */
template <class T>
T & pick(int n, T & first, T & second) {
    return on(n) ? second : first;
}
template <class T>
const T & pick(int n, const T & first, const T & second) {
    return on(n) ? second : first;
}

/** `fault::maybe_not(n) % x` is !x, and x where the fault is there. */
struct MaybeNot {
    int n;
};
template <class T>
bool operator%(MaybeNot f, T && x) {
    return on(f.n) == static_cast<bool>(x);
}

template <class L, class Operator>
struct Left {
    L && value;
    Operator of;
};

// `a < fault::LessOr{n} < b` is a < b, and a <= b where the fault is there; the others alike. What binds as a < b does
// binds so.
#define SHIMMY_FAULT_OPERATOR(Name, is, would_be)                                \
    struct Name {                                                                \
        int n;                                                                   \
    };                                                                           \
    template <class L>                                                           \
    Left<L, Name> operator is(L && l, Name f) {                                  \
        return {std::forward<L>(l), f};                                          \
    }                                                                            \
    template <class L, class R>                                                  \
    auto operator is(Left<L, Name> l, R && r) {                                  \
        return on(l.of.n) ? std::forward<L>(l.value) would_be std::forward<R>(r) \
                          : std::forward<L>(l.value) is std::forward<R>(r);      \
    }
SHIMMY_FAULT_OPERATOR(LessOr, <, <=)
SHIMMY_FAULT_OPERATOR(OnlyLess, <=, <)
SHIMMY_FAULT_OPERATOR(MoreOr, >, >=)
SHIMMY_FAULT_OPERATOR(OnlyMore, >=, >)
SHIMMY_FAULT_OPERATOR(Unequal, ==, !=)
SHIMMY_FAULT_OPERATOR(Equal, !=, ==)
SHIMMY_FAULT_OPERATOR(Minus, +, -)
SHIMMY_FAULT_OPERATOR(Plus, -, +)
#undef SHIMMY_FAULT_OPERATOR

}  // namespace fault
