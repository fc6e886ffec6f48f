# `cmake --install`: bin/shimmy, and every library in lib/shimmy where the modules find libggml-base.

install(TARGETS shimmy ggml-rpc-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS llama llama-common llama-server-impl mtmd ggml ggml-base ggml-cpu ggml-rpc LIBRARY DESTINATION ${SHIMMY_LIBRARY_DIR})
install(TARGETS llama-imatrix RUNTIME DESTINATION ${SHIMMY_LIBRARY_DIR})  # beside its libraries
if(SHIMMY_MOE)
    install(TARGETS ggml-moe LIBRARY DESTINATION ${SHIMMY_LIBRARY_DIR})
endif()
install(DIRECTORY ${SHIMMY_LLAMA_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/vocab
    FILES_MATCHING PATTERN "ggml-vocab-*.gguf" PATTERN "templates" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/shapes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/shapes)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/checks/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/checks)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
