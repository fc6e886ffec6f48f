# The libraries that our pages hold: fetched once into the cache, checked by hash. Sets SHIMMY_ECHARTS_DIR,
# SHIMMY_MARKDOWN_IT_DIR, SHIMMY_HIGHLIGHT_DIR and SHIMMY_TEMML_DIR.

function(fetch_page_library name variable)
    execute_process(
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/fetch-page-library.sh ${name}
        OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${name} could not be fetched (see the lines above)")
    endif()
    set(${variable} ${dir} PARENT_SCOPE)
endfunction()

fetch_page_library(echarts SHIMMY_ECHARTS_DIR)
fetch_page_library(markdown-it SHIMMY_MARKDOWN_IT_DIR)
fetch_page_library(highlight SHIMMY_HIGHLIGHT_DIR)
fetch_page_library(temml SHIMMY_TEMML_DIR)
