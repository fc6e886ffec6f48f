// Files that are part of the program: the assembler reads them.
#pragma once

#include <string_view>

// Defines `std::string_view symbol()` in namespace `space`. `path` is a string literal, an absolute path or one that
// the build gives. At file scope, outside of any namespace; `symbol` must be unique in the program.
#define SHIMMY_EMBED(space, symbol, path)                                                                         \
    __asm__(                                                                                                      \
        ".pushsection .rodata\n"                                                                                  \
        "shimmy_asset_" #symbol ":\n.incbin \"" path "\"\nshimmy_asset_" #symbol                                  \
        "_end:\n"                                                                                                 \
        ".byte 0\n.popsection\n");                                                                                \
    extern "C" const char shimmy_asset_##symbol[];                                                                \
    extern "C" const char shimmy_asset_##symbol##_end[];                                                          \
    namespace space {                                                                                             \
    std::string_view symbol() {                                                                                   \
        return {shimmy_asset_##symbol, static_cast<size_t>(shimmy_asset_##symbol##_end - shimmy_asset_##symbol)}; \
    }                                                                                                             \
    }
