# Toolchain: clang, with the headers and libraries of Debian's mingw-w64, and Wine to run what it makes (scripts/cross-windows.sh).
# GCC keeps AVX registers at addresses that are not aligned on 64-bit Windows (its bug 54412); clang aligns them.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER clang)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_C_COMPILER_TARGET x86_64-w64-mingw32)
set(CMAKE_CXX_COMPILER_TARGET x86_64-w64-mingw32)
set(CMAKE_SYSROOT /usr/x86_64-w64-mingw32)
file(GLOB gcc LIST_DIRECTORIES true /usr/lib/gcc/x86_64-w64-mingw32/*-posix)
# Debian's headers lack THREAD_POWER_THROTTLING_STATE, which ggml-cpu.c uses from Windows 8 on.
set(CMAKE_C_FLAGS_INIT "-D_WIN32_WINNT=0x0601")
# libstdc++ was built by GCC, which emulates thread-local storage.
set(CMAKE_CXX_FLAGS_INIT "-femulated-tls -stdlib++-isystem ${gcc}/include/c++ -isystem ${gcc}/include/c++/x86_64-w64-mingw32")
# The C++ and thread libraries go into each program and library: they run without files beside them.
foreach(kind EXE SHARED MODULE)
    set(CMAKE_${kind}_LINKER_FLAGS_INIT "-fuse-ld=lld -L${gcc} -static -lpthread")
endforeach()
set(CMAKE_CROSSCOMPILING_EMULATOR wine)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
