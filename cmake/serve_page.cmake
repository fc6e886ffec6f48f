# The page of `shimmy serve` as one file that needs no other, and the same compressed: PAGE.html, PAGE.html.gz.
#   cmake -DPAGE=… -DSOURCES=… -DMARKDOWN_IT=… -DHIGHLIGHT=… -DTEMML=… -P serve_page.cmake      folders, but for PAGE
# The scripts share a scope: each uses those before it, and the last one starts.

function(append_library variable folder)
    file(READ ${folder}/LICENSE license)
    string(APPEND ${variable} "/*!\n${license}*/\n")
    foreach(name ${ARGN})
        file(READ ${folder}/${name} script)
        string(APPEND ${variable} "${script}\n;\n")
    endforeach()
    set(${variable} "${${variable}}" PARENT_SCOPE)
endfunction()

append_library(libraries ${MARKDOWN_IT} markdown-it.umd.min.js)
append_library(libraries ${HIGHLIGHT} highlight.min.js cmake.min.js dockerfile.min.js latex.min.js powershell.min.js)
append_library(libraries ${TEMML} temml.min.js)
# In a <script>, these would open a comment of HTML, which may hide the script's end; to JavaScript they are the same.
string(REPLACE "<!--" "\\x3C!--" libraries "${libraries}")

set(scripts "")
foreach(name api store archive settings math code branches attachments message conversation exchange history figures experts page)
    file(READ ${SOURCES}/${name}.js script)
    string(APPEND scripts "${script}")
endforeach()

file(READ ${SOURCES}/page.css style)
file(READ ${TEMML}/Temml-Local.css math_style)
string(REPLACE "url('Temml.woff2') format('woff2')" "local('STIX Two Math')" math_style "${math_style}")  # fetches nothing

foreach(part libraries scripts style math_style)
    string(TOLOWER "${${part}}" text)
    if(text MATCHES "</(script|style)|url\\(['\"]?(http|//)")
        message(FATAL_ERROR "the page's ${part} hold ${CMAKE_MATCH_0}, which would end them or fetch something")
    endif()
endforeach()

file(READ ${SOURCES}/index.html html)
string(REPLACE "/*CSS*/" "${math_style}${style}" html "${html}")
string(REPLACE "/*LIBRARIES*/" "${libraries}" html "${html}")
string(REPLACE "/*JS*/" "${scripts}" html "${html}")
file(WRITE ${PAGE} "${html}")
file(ARCHIVE_CREATE OUTPUT ${PAGE}.gz PATHS ${PAGE} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
