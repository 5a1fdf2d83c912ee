// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Files that a program writes, and texts in JSON.
#ifndef DEMO_OUTPUT_HPP_
#define DEMO_OUTPUT_HPP_

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

namespace demo {

struct CloseFile {
    void operator()(std::FILE *file) const {
        if (file != stdout) {
            std::fclose(file);
        }
    }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// Opens what is to be written before anything runs, so that a wrong name costs no run. "-" is standard output; without
// a name nothing is opened. False, with a message of one line, if it cannot be opened.
inline bool open_output(const std::string &name, File &file, std::string &error) {
    if (!name.empty()) {
        file.reset(name == "-" ? stdout : std::fopen(name.c_str(), "w"));
        if (file == nullptr) {
            error = name + ": " + std::strerror(errno);
            return false;
        }
    }
    return true;
}

// Texts in a summary are names of runs and our own words; file names can hold anything.
inline std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + "\"";
}

} // namespace demo

#endif // DEMO_OUTPUT_HPP_
