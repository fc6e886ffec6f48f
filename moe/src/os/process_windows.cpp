#include <windows.h>
// after windows.h
#include <shellapi.h>

#include <cstdlib>

#include "process.h"

namespace moe::os {

namespace {

std::string utf8(const wchar_t * text) {
    const int n = WideCharToMultiByte(CP_UTF8, 0, text, -1, nullptr, 0, nullptr, nullptr);  // with the NUL
    std::string out(n > 0 ? static_cast<size_t>(n) : 1, '\0');
    WideCharToMultiByte(CP_UTF8, 0, text, -1, out.data(), n, nullptr, nullptr);
    out.pop_back();
    return out;
}

}  // namespace

void * find_loaded(const char * library, const char * name) {
    const HMODULE handle = GetModuleHandleA(library);
    return handle == nullptr ? nullptr : reinterpret_cast<void *>(GetProcAddress(handle, name));
}

std::string arguments() {
    int n = 0;
    wchar_t ** list = CommandLineToArgvW(GetCommandLineW(), &n);
    std::string all;
    for (int i = 0; list != nullptr && i < n; ++i) {
        all += utf8(list[i]) + '\0';
    }
    LocalFree(list);
    return all;
}

// The C runtimes of the process have copies of the environment of their own: one of another kind does not learn of it.
void set_default(const char * variable, const char * value) {
    if (std::getenv(variable) != nullptr) return;
    _putenv_s(variable, value);
}

std::string cache_folder() {
    const wchar_t * folder = _wgetenv(L"LOCALAPPDATA");
    return folder != nullptr ? utf8(folder) : "";
}

int id() {
    return static_cast<int>(GetCurrentProcessId());
}

}  // namespace moe::os
