// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Options of a program: what each is called, takes, means and sets. A value follows after a space or after "=".
#ifndef DEMO_OPTION_TABLE_HPP_
#define DEMO_OPTION_TABLE_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace demo {

// Each is false, with the rest of a sentence that begins with the option's name, if the text cannot be honoured.
bool parse_count(const std::string &text, uint64_t low, uint64_t high, uint64_t &out, std::string &error);
bool parse_real(const std::string &text, double low, double high, double &out, std::string &error);
// "N" or "N+M": the N-th of something, and M - 1 after it.
bool parse_some(const std::string &text, uint64_t &first, uint64_t &count, std::string &error);
// One of the words of `words`; `out` is its position.
bool parse_word(const std::string &text, const std::vector<std::string> &words, size_t &out, std::string &error);

class OptionTable {
  public:
    using Apply = std::function<bool(const std::string &value, std::string &error)>;

    // `value` names the value in the help text; null for a flag.
    void add(const char *name, const char *value, const char *help, Apply apply);

    // Ways to set a field, which outlives the table.
    static Apply flag(bool &field, bool value = true);
    static Apply real(double &field, double low, double high);
    static Apply text(std::string &field);
    template <typename T> static Apply count(T &field, uint64_t low, uint64_t high) {
        return [&field, low, high](const std::string &text, std::string &error) {
            uint64_t value = 0;
            if (!parse_count(text, low, high, value, error)) {
                return false;
            }
            field = static_cast<T>(value);
            return true;
        };
    }
    // The text is one of the words.
    static Apply word_text(std::string &field, std::vector<std::string> words);
    // A function of its own that takes all options.
    template <typename Options>
    static Apply bind(Options &options, bool (*apply)(Options &, const std::string &, std::string &)) {
        return [&options, apply](const std::string &text, std::string &error) { return apply(options, text, error); };
    }
    // The first word stands for 0.
    template <typename T> static Apply word(T &field, std::vector<std::string> words) {
        return [&field, words = std::move(words)](const std::string &text, std::string &error) {
            size_t choice = 0;
            if (!parse_word(text, words, choice, error)) {
                return false;
            }
            field = static_cast<T>(choice);
            return true;
        };
    }

    // Applies all options in `arguments`; what is none goes to `others`. False, with a message of one line, at the
    // first that cannot be honoured.
    bool parse(const std::vector<std::string> &arguments, std::vector<std::string> &others, std::string &error);

    // Whether parse() has seen the option.
    bool given(const std::string &name) const;

    // One entry for each option, wrapped.
    std::string help() const;

  private:
    struct Option {
        std::string name;
        const char *value;
        std::string help;
        Apply apply;
        bool is_given = false;
    };

    Option *find(const std::string &name);

    std::vector<Option> options_;
};

} // namespace demo

#endif // DEMO_OPTION_TABLE_HPP_
