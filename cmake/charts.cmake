# The chart library that report.html inlines: fetched once into the cache, checked by hash.

execute_process(
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/fetch-charts.sh
    OUTPUT_VARIABLE SHIMMY_ECHARTS_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE fetch_result)
if(NOT fetch_result EQUAL 0)
    message(FATAL_ERROR "the chart library could not be fetched (see the lines above)")
endif()
