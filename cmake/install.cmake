# `cmake --install`: bin/shimmy, and every library in lib/shimmy where the modules find libggml-base.

set(libraries llama llama-common llama-server-impl mtmd ggml ggml-base ${GGML_AVAILABLE_BACKENDS})
if(SHIMMY_MOE)
    list(APPEND libraries ggml-moe)
endif()
# Man pages and completion, which the program itself writes.
set(pages ${PROJECT_BINARY_DIR}/share)
add_custom_command(OUTPUT ${pages}.made
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/program-pages.sh $<TARGET_FILE:shimmy> ${pages}
    COMMAND ${CMAKE_COMMAND} -E touch ${pages}.made
    DEPENDS shimmy ${PROJECT_SOURCE_DIR}/scripts/program-pages.sh)
add_custom_target(installed DEPENDS shimmy ggml-rpc-server llama-imatrix ${libraries} ${pages}.made)  # and no tests

install(TARGETS shimmy RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(SHIMMY_PORTABLE)  # it looks for modules where it lies itself
    install(TARGETS ggml-rpc-server RUNTIME DESTINATION ${SHIMMY_LIBRARY_DIR})
    file(CREATE_LINK ../${SHIMMY_LIBRARY_DIR}/ggml-rpc-server ${PROJECT_BINARY_DIR}/ggml-rpc-server SYMBOLIC)
    install(FILES ${PROJECT_BINARY_DIR}/ggml-rpc-server DESTINATION ${CMAKE_INSTALL_BINDIR})
else()
    install(TARGETS ggml-rpc-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS ${libraries} LIBRARY DESTINATION ${SHIMMY_LIBRARY_DIR})
install(TARGETS llama-imatrix RUNTIME DESTINATION ${SHIMMY_LIBRARY_DIR})  # beside its libraries
install(DIRECTORY ${SHIMMY_LLAMA_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/vocab
    FILES_MATCHING PATTERN "ggml-vocab-*.gguf" PATTERN "templates" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/shapes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/shapes)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/checks/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/checks)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/templates/ DESTINATION ${CMAKE_INSTALL_DATADIR}/shimmy/templates)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Of the libraries that are part of the program's pages.
set(licenses ${CMAKE_INSTALL_DOCDIR}/licenses)
install(FILES ${SHIMMY_ECHARTS_DIR}/LICENSE DESTINATION ${licenses} RENAME echarts)
install(FILES ${SHIMMY_ECHARTS_DIR}/NOTICE DESTINATION ${licenses} RENAME echarts-notice)
install(FILES ${SHIMMY_ECHARTS_DIR}/LICENSE-d3 DESTINATION ${licenses} RENAME d3)
install(FILES ${SHIMMY_MARKDOWN_IT_DIR}/LICENSE DESTINATION ${licenses} RENAME markdown-it)
install(FILES ${SHIMMY_HIGHLIGHT_DIR}/LICENSE DESTINATION ${licenses} RENAME highlight.js)
install(FILES ${SHIMMY_TEMML_DIR}/LICENSE DESTINATION ${licenses} RENAME temml)
install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_DATADIR})
# The unit names the program where it is installed, which nobody knows of an archive yet.
install(CODE "
    file(READ ${PROJECT_SOURCE_DIR}/deploy/shimmy.service unit)
    if(NOT CMAKE_INSTALL_PREFIX MATCHES _CPack_Packages)
        string(REPLACE /usr/local/bin/shimmy \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/shimmy unit \"\${unit}\")
    endif()
    set(folder \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
    file(WRITE \${folder}/shimmy.service \"\${unit}\")
    message(STATUS \"Installing: \${folder}/shimmy.service\")
")

# `cpack`: a package for Debian and Ubuntu, and an archive that runs from any folder (scripts/package.sh).
set(CPACK_GENERATOR TGZ DEB)
string(TOLOWER ${CMAKE_SYSTEM_NAME} system)
set(CPACK_PACKAGE_FILE_NAME ${PROJECT_NAME}-${PROJECT_VERSION}-${system}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_SOURCE_DIR}/build/package)
set(CPACK_PACKAGE_CONTACT "the shimmy project")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS ${PROJECT_BINARY_DIR} ${PROJECT_NAME} ALL /)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # the libraries of this system's packages that it needs
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libvulkan1, gnuplot-nox, python3")
include(CPack)
