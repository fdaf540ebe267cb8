#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "inc/json.h"

namespace ocrnet {
namespace {

constexpr int kMaxDepth = 64;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xE0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | (code >> 18));
    *out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(const std::string& text) : text_(text) {}

  Status Parse(Json* out) {
    OCRNET_RETURN_IF_ERROR(Value(0, out));
    SkipSpace();
    return at_ == text_.size() ? Status::Ok() : Error("something follows the end");
  }

 private:
  Status Error(const std::string& what) const {
    const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
    return Status::UserError("line " + std::to_string(1 + std::count(text_.begin(), end, '\n')) + ": " + what);
  }

  // The character here, 0 at the end: a zero byte is nowhere allowed, so that the two need no telling apart.
  char Here() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void SkipSpace() {
    while (Here() == ' ' || Here() == '\t' || Here() == '\n' || Here() == '\r') ++at_;
  }

  bool Skip(char expected) {
    SkipSpace();
    if (Here() != expected) return false;
    ++at_;
    return true;
  }

  bool SkipWord(const char* word) {
    const size_t length = std::char_traits<char>::length(word);
    if (text_.compare(at_, length, word) != 0) return false;
    at_ += length;
    return true;
  }

  Status Value(int depth, Json* out) {
    if (depth > kMaxDepth) return Error("nested too deeply");
    SkipSpace();
    switch (Here()) {
      case '{':
        return Object(depth, out);
      case '[':
        return Array(depth, out);
      case '"':
        return String(&out->value_.emplace<std::string>());
      default:
        return Scalar(out);
    }
  }

  Status Scalar(Json* out) {
    if (SkipWord("null")) return Status::Ok();
    const bool is_true = SkipWord("true");
    if (is_true || SkipWord("false")) {
      out->value_ = is_true;
      return Status::Ok();
    }
    return Number(&out->value_.emplace<double>());
  }

  Status Object(int depth, Json* out) {
    Json::Members& members = out->value_.emplace<Json::Members>();
    ++at_;
    if (Skip('}')) return Status::Ok();
    do {
      SkipSpace();
      std::string key;
      if (Here() != '"') return Error("expected a key in quotes");
      OCRNET_RETURN_IF_ERROR(String(&key));
      const auto [member, is_new] = members.try_emplace(key);
      if (!is_new) return Error("the key \"" + key + "\" occurs twice");
      if (!Skip(':')) return Error("expected ':' after the key \"" + key + "\"");
      OCRNET_RETURN_IF_ERROR(Value(depth + 1, &member->second));
    } while (Skip(','));
    return Skip('}') ? Status::Ok() : Error("expected ',' or '}'");
  }

  Status Array(int depth, Json* out) {
    std::vector<Json>& items = out->value_.emplace<std::vector<Json>>();
    ++at_;
    if (Skip(']')) return Status::Ok();
    do {
      Json item;
      OCRNET_RETURN_IF_ERROR(Value(depth + 1, &item));
      items.push_back(std::move(item));
    } while (Skip(','));
    return Skip(']') ? Status::Ok() : Error("expected ',' or ']'");
  }

  Status String(std::string* out) {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return IsUtf8(*out) ? Status::Ok() : Error("a string is not UTF-8");
      }
      if (static_cast<unsigned char>(c) < 0x20) return Error("a control character in a string");
      if (c == '\\') {
        OCRNET_RETURN_IF_ERROR(Escape(out));
      } else {
        *out += c;
      }
    }
    return Error("a string without its end");
  }

  // Reads an escape; at_ stands on the backslash before and on its last character after.
  Status Escape(std::string* out) {
    ++at_;
    static const std::string kLetters = "\"\\/bfnrt";
    static const std::string kValues = "\"\\/\b\f\n\r\t";
    const char letter = Here();
    if (letter != 'u') {
      const size_t index = letter == '\0' ? std::string::npos : kLetters.find(letter);
      if (index == std::string::npos) return Error("an unknown escape in a string");
      *out += kValues[index];
      return Status::Ok();
    }
    uint32_t code = 0;
    if (!FourDigits(&code)) return Error("\\u needs four hexadecimal digits");
    if (code >= 0xD800 && code < 0xDC00) {
      uint32_t low = 0;
      const bool is_pair = text_.compare(at_ + 1, 2, "\\u") == 0 && (at_ += 2, FourDigits(&low));
      if (!is_pair || low < 0xDC00 || low > 0xDFFF) return Error("half a surrogate pair in a string");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      return Error("half a surrogate pair in a string");
    }
    AppendUtf8(code, out);
    return Status::Ok();
  }

  // Reads the digits behind the 'u' at at_, which then stands on the last of them.
  bool FourDigits(uint32_t* code) {
    if (text_.size() - at_ < 5) return false;
    for (int i = 0; i < 4; ++i) {
      const char c = text_[++at_];
      const int digit = IsDigit(c)               ? c - '0'
                        : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                        : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                                 : -1;
      if (digit < 0) return false;
      *code = *code * 16 + static_cast<uint32_t>(digit);
    }
    return true;
  }

  Status Number(double* out) {
    const size_t start = at_;
    if (Here() == '-') ++at_;
    if (!IsDigit(Here())) return Error("expected a value");
    if (Here() == '0') {
      ++at_;
    } else {
      SkipDigits();
    }
    if (Here() == '.') {
      ++at_;
      if (!SkipDigits()) return Error("a number without digits after its point");
    }
    if (Here() == 'e' || Here() == 'E') {
      ++at_;
      if (Here() == '+' || Here() == '-') ++at_;
      if (!SkipDigits()) return Error("a number without digits in its exponent");
    }
    *out = std::strtod(text_.substr(start, at_ - start).c_str(), nullptr);
    return std::isfinite(*out) ? Status::Ok() : Error("a number that is too large");
  }

  bool SkipDigits() {
    const size_t start = at_;
    while (IsDigit(Here())) ++at_;
    return at_ > start;
  }

  const std::string& text_;
  size_t at_ = 0;
};

Status Json::Parse(const std::string& text, Json* out) {
  *out = Json();
  return JsonParser(text).Parse(out);
}

}  // namespace ocrnet
