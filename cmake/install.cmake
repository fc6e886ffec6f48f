# `cmake --install`: bin/shimmy, and every library in lib/shimmy where the modules find libggml-base.

set(libraries llama llama-common llama-server-impl mtmd ggml ggml-base ggml-cpu ggml-rpc)
if(SHIMMY_MOE)
    list(APPEND libraries ggml-moe)
endif()
add_custom_target(installed DEPENDS shimmy ggml-rpc-server llama-imatrix ${libraries})  # and no tests

install(TARGETS shimmy ggml-rpc-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ${libraries} LIBRARY DESTINATION ${SHIMMY_LIBRARY_DIR})
install(TARGETS llama-imatrix RUNTIME DESTINATION ${SHIMMY_LIBRARY_DIR})  # beside its libraries
install(DIRECTORY ${SHIMMY_LLAMA_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/vocab
    FILES_MATCHING PATTERN "ggml-vocab-*.gguf" PATTERN "templates" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/shapes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/shapes)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/checks/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/checks)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/templates/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/templates)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
