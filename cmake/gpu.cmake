# Prebuilt GPU modules (SHIMMY_GPU): fetched once, placed beside libggml-base in the build tree and in the
# install tree. Building a backend from source instead stays llama.cpp's own option (-DGGML_VULKAN=ON, …).

foreach(gpu IN LISTS SHIMMY_GPU)
    execute_process(
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/fetch-gpu.sh ${gpu}
        OUTPUT_VARIABLE module OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE fetch_result)
    if(NOT fetch_result EQUAL 0)
        message(FATAL_ERROR "the ${gpu} module could not be fetched (see the lines above)")
    endif()
    file(MAKE_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
    file(COPY ${module} DESTINATION ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
    install(FILES ${module} DESTINATION ${SHIMMY_LIBRARY_DIR})
endforeach()
