// SPDX-License-Identifier: MIT OR Apache-2.0
#include "option_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace demo {
namespace {

constexpr size_t kHelpColumn = 27;
constexpr size_t kHelpWidth = 110;

} // namespace

bool parse_count(const std::string &text, uint64_t low, uint64_t high, uint64_t &out, std::string &error) {
    uint64_t value = 0;
    bool good = !text.empty() && text.size() <= 18;
    for (const char c : text) {
        good = good && c >= '0' && c <= '9';
        value = good ? value * 10 + static_cast<uint64_t>(c - '0') : 0;
    }
    if (!good || value < low || value > high) {
        error = "needs a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", not \"" + text +
                "\"";
        return false;
    }
    out = value;
    return true;
}

bool parse_real(const std::string &text, double low, double high, double &out, std::string &error) {
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value) || value < low || value > high) {
        error = "needs a number from " + std::to_string(low) + " to " + std::to_string(high) + ", not \"" + text + "\"";
        return false;
    }
    out = value;
    return true;
}

bool parse_some(const std::string &text, uint64_t &first, uint64_t &count, std::string &error) {
    constexpr uint64_t kMost = 1000000000;
    const size_t plus = text.find('+');
    count = 1;
    return parse_count(text.substr(0, plus), 1, kMost, first, error) &&
           (plus == std::string::npos || parse_count(text.substr(plus + 1), 1, kMost, count, error));
}

bool parse_word(const std::string &text, const std::vector<std::string> &words, size_t &out, std::string &error) {
    for (size_t i = 0; i < words.size(); ++i) {
        if (words[i] == text) {
            out = i;
            return true;
        }
    }
    error = "needs one of";
    for (const std::string &word : words) {
        error += " " + word;
    }
    error += ", not \"" + text + "\"";
    return false;
}

void OptionTable::add(const char *name, const char *value, const char *help, Apply apply) {
    options_.push_back(Option{name, value, help, std::move(apply)});
}

OptionTable::Apply OptionTable::flag(bool &field, bool value) {
    return [&field, value](const std::string &, std::string &) {
        field = value;
        return true;
    };
}

OptionTable::Apply OptionTable::real(double &field, double low, double high) {
    return [&field, low, high](const std::string &text, std::string &error) {
        return parse_real(text, low, high, field, error);
    };
}

OptionTable::Apply OptionTable::text(std::string &field) {
    return [&field](const std::string &value, std::string &error) {
        field = value;
        error = "needs a value";
        return !value.empty();
    };
}

OptionTable::Apply OptionTable::word_text(std::string &field, std::vector<std::string> words) {
    return [&field, words = std::move(words)](const std::string &text, std::string &error) {
        size_t choice = 0;
        if (!parse_word(text, words, choice, error)) {
            return false;
        }
        field = text;
        return true;
    };
}

OptionTable::Option *OptionTable::find(const std::string &name) {
    const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option &o) { return o.name == name; });
    return found == options_.end() ? nullptr : &*found;
}

bool OptionTable::given(const std::string &name) const {
    return std::any_of(options_.begin(), options_.end(),
                       [&](const Option &option) { return option.is_given && option.name == name; });
}

bool OptionTable::parse(const std::vector<std::string> &arguments, std::vector<std::string> &others,
                        std::string &error) {
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string &argument = arguments[i];
        if (argument.compare(0, 2, "--") != 0) {
            if (argument.size() > 1 && argument[0] == '-') {
                error = "unknown option " + argument + "; see --help";
                return false;
            }
            others.push_back(argument);
            continue;
        }
        const size_t equals = argument.find('=');
        const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
        Option *option = find(name);
        if (option == nullptr) {
            error = "unknown option --" + name + "; see --help";
            return false;
        }
        std::string value;
        if (option->value == nullptr) {
            if (equals != std::string::npos) {
                error = "--" + name + " takes no value";
                return false;
            }
        } else if (equals != std::string::npos) {
            value = argument.substr(equals + 1);
        } else if (i + 1 < arguments.size()) {
            value = arguments[++i];
        } else {
            error = "--" + name + " needs a value";
            return false;
        }
        if (!option->apply(value, error)) {
            error = "--" + name + " " + error;
            return false;
        }
        option->is_given = true;
    }
    return true;
}

std::string OptionTable::help() const {
    std::string text;
    for (const Option &option : options_) {
        std::string head = "  --" + option.name + (option.value != nullptr ? std::string(" ") + option.value : "");
        head.resize(head.size() < kHelpColumn ? kHelpColumn : head.size() + 1, ' ');
        text += head;
        size_t column = head.size();
        std::string help = option.help;
        while (!help.empty()) {
            const size_t space = help.find(' ');
            const std::string word = help.substr(0, space);
            help = space == std::string::npos ? "" : help.substr(space + 1);
            if (column + word.size() > kHelpWidth) {
                text += "\n" + std::string(kHelpColumn, ' ');
                column = kHelpColumn;
            } else if (column != head.size()) {
                text += ' ';
                ++column;
            }
            text += word;
            column += word.size();
        }
        text += '\n';
    }
    return text;
}

} // namespace demo
