# Compiler settings: ccache when it is there, sanitizers, warnings for our own targets.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    foreach(lang C CXX)
        if(NOT CMAKE_${lang}_COMPILER_LAUNCHER)
            set(CMAKE_${lang}_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
        endif()
    endforeach()
endif()

# Instruments every target that is made after it. Optimization beyond -O1 and the names of variables would triple the time of a
# build, and add nothing to a report: it names functions and lines.
macro(shimmy_sanitize)
    foreach(sanitizer IN LISTS SHIMMY_SANITIZE)
        add_compile_options(-fsanitize=${sanitizer} -fno-omit-frame-pointer -O1 -g1)
        add_link_options(-fsanitize=${sanitizer})
        if(sanitizer STREQUAL "undefined")
            add_compile_options(-fno-sanitize-recover=undefined)
        endif()
    endforeach()
endmacro()

option(SHIMMY_COVERAGE "count the lines that run, without optimization (scripts/coverage.sh)" OFF)

option(SHIMMY_UNITY "compile several files at once: a fraction of the time of a whole build" ON)

# A target of ours is compiled in batches: most of the time goes into the templates of the JSON, formatting and command
# line libraries, which a batch makes once. Without it (-DSHIMMY_UNITY=OFF) every file shows that it includes what it uses.
function(shimmy_batches target)
    if(SHIMMY_UNITY AND NOT SHIMMY_COVERAGE)
        set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
        # A batch looks like a header to GCC, in which a class must not be built on one of an anonymous namespace.
        target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    endif()
endfunction()

# Code that waits for others, or runs once: compiled in half the time.
function(shimmy_light target)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# Warnings of a target of ours. llama.cpp's headers are included as SYSTEM, so they stay out of it.
function(shimmy_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        target_compile_options(${target} PRIVATE -Wno-restrict)  # GCC bug 105329: false alarms in std::string's operator+
    endif()
    if(SHIMMY_WERROR AND NOT SHIMMY_SANITIZE)  # GCC warns falsely of instrumented code
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(SHIMMY_COVERAGE)
        target_compile_options(${target} PRIVATE -O0 --coverage -Werror=return-type)
        target_link_options(${target} PUBLIC --coverage)
    endif()
endfunction()
