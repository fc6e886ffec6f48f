# The pinned llama.cpp as part of this build: libraries only, unpatched.

if(NOT SHIMMY_LLAMA_DIR)
    execute_process(
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/fetch-llama.sh
        OUTPUT_VARIABLE fetched OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE fetch_result)
    if(NOT fetch_result EQUAL 0)
        message(FATAL_ERROR "llama.cpp could not be fetched (see the lines above). "
            "Pass -DSHIMMY_LLAMA_DIR=/path/to/llama.cpp-v0.5.0 to use a copy of your own.")
    endif()
    set(SHIMMY_LLAMA_DIR ${fetched} CACHE PATH "llama.cpp v0.5.0 source" FORCE)
endif()
if(NOT EXISTS ${SHIMMY_LLAMA_DIR}/include/llama.h)
    message(FATAL_ERROR "SHIMMY_LLAMA_DIR=${SHIMMY_LLAMA_DIR} holds no llama.cpp (include/llama.h is missing)")
endif()

set(BUILD_SHARED_LIBS ON)  # GPU modules and the moe plugin must share one libggml-base with the program
set(GGML_RPC ON)           # other machines as devices
option(SHIMMY_PORTABLE "for other machines: ggml's CPU code as modules, one for each kind of processor, chosen when the program starts" OFF)
if(SHIMMY_PORTABLE)
    set(GGML_NATIVE OFF)
    set(GGML_BACKEND_DL ON)
    set(GGML_CPU_ALL_VARIANTS ON)
endif()
set(LLAMA_BUILD_COMMON ON)
set(LLAMA_BUILD_TESTS OFF)
set(LLAMA_BUILD_TOOLS ON)   # the folder of the server; nothing in it is built but what shimmy links
set(LLAMA_BUILD_SERVER ON)
set(LLAMA_BUILD_UI OFF)
set(LLAMA_USE_PREBUILT_UI OFF)  # would be downloaded
set(LLAMA_BUILD_EXAMPLES OFF)
set(LLAMA_BUILD_APP OFF)
set(LLAMA_OPENSSL OFF)
set(LLAMA_TOOLS_INSTALL OFF)
set(LLAMA_BUILD_IS_DEV OFF)  # the pin is a release
add_subdirectory(${SHIMMY_LLAMA_DIR} ${CMAKE_BINARY_DIR}/llama.cpp EXCLUDE_FROM_ALL)

# What runs once per request or per file is compiled in two thirds of the time. What runs for every token or pixel keeps its -O3.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    foreach(target llama-common llama-server-impl server-context mtmd cpp-httplib llama-imatrix ggml-rpc-server)
        if(TARGET ${target})
            target_compile_options(${target} PRIVATE -O1)
        endif()
    endforeach()
    foreach(source sampling speculative ngram-cache ngram-map ngram-mod reasoning-budget)
        set_source_files_properties(${SHIMMY_LLAMA_DIR}/common/${source}.cpp TARGET_DIRECTORY llama-common PROPERTIES COMPILE_OPTIONS -O3)
    endforeach()
    foreach(source mtmd-image mtmd-audio clip)
        set_source_files_properties(${SHIMMY_LLAMA_DIR}/tools/mtmd/${source}.cpp TARGET_DIRECTORY mtmd PROPERTIES COMPILE_OPTIONS -O3)
    endforeach()
endif()

# In batches, as shimmy_batches (compiler.cmake) compiles ours: parsing headers is most of what a small file takes. llama.cpp itself
# does so with its models alone. Left out are files whose names clash with another's, and those that may not see another's headers.
if(SHIMMY_UNITY)
    set_target_properties(llama-common server-context llama-server-impl mtmd PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    file(GLOB core ${SHIMMY_LLAMA_DIR}/src/*.cpp)
    set_source_files_properties(${core} TARGET_DIRECTORY llama PROPERTIES SKIP_UNITY_BUILD_INCLUSION OFF)
    set_source_files_properties(${SHIMMY_LLAMA_DIR}/src/llama-kv-cache-dsv4.cpp TARGET_DIRECTORY llama PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    foreach(source json jinja/value)
        set_source_files_properties(${SHIMMY_LLAMA_DIR}/common/${source}.cpp TARGET_DIRECTORY llama-common PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endforeach()
    file(GLOB public ${SHIMMY_LLAMA_DIR}/tools/mtmd/*.cpp)
    set_source_files_properties(${public} TARGET_DIRECTORY mtmd PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endif()

# Before version 13, GCC's `_tile_loadconfig` tells the optimizer of 8 of the 64 bytes it reads, so that ggml's tile
# configuration is partly dropped, and every product on an AMX machine ends in a segmentation fault.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13
        AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    foreach(target ggml-cpu ggml-cpu-sapphirerapids)
        if(TARGET ${target})
            target_compile_options(${target} PRIVATE -mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
        endif()
    endforeach()
endif()
