# What is kept in VRAM, and in RAM, without ggml: for programs that predict it.
add_library(ggml-moe-policy STATIC ${CMAKE_CURRENT_LIST_DIR}/src/experts/policy.cpp ${CMAKE_CURRENT_LIST_DIR}/src/disk/residency.cpp)
target_compile_features(ggml-moe-policy PUBLIC cxx_std_17)
target_include_directories(ggml-moe-policy PUBLIC ${CMAKE_CURRENT_LIST_DIR}/src)
