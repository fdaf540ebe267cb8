// A small strict JSON reader (RFC 8259) for the manifest and the index, which are not trusted: depth is limited, keys
// do not repeat, strings are UTF-8, and NaN and Infinity are refused.
#ifndef OCRNET_INC_JSON_H_
#define OCRNET_INC_JSON_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "inc/status.h"

namespace ocrnet {

class Json {
 public:
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };

  // Reads one value that makes up the whole text. The message names the line of what is wrong.
  static Status Parse(const std::string& text, Json* out);

  Type type() const { return static_cast<Type>(value_.index()); }
  bool is_null() const { return type() == Type::kNull; }
  // The value of a type; for another type an empty one.
  bool boolean() const { return Value<bool>(); }
  double number() const { return Value<double>(); }
  const std::string& string() const { return Value<std::string>(); }
  const std::vector<Json>& items() const { return Value<std::vector<Json>>(); }
  // Returns the value of an object's key; nullptr without that key.
  const Json* Find(const std::string& key) const;

  // The value of an object's key. Errors say what is missing or of which type it should be.
  Status Get(const std::string& key, std::string* out) const;
  Status Get(const std::string& key, bool* out) const;
  Status Get(const std::string& key, double* out) const;
  Status Get(const std::string& key, int64_t* out) const;  // a whole number of at most 2^53
  Status Get(const std::string& key, std::vector<std::string>* out) const;
  Status Get(const std::string& key, std::vector<double>* out) const;
  Status Get(const std::string& key, std::vector<int64_t>* out) const;
  Status GetObject(const std::string& key, const Json** out) const;
  Status GetArray(const std::string& key, const Json** out) const;

 private:
  friend class JsonParser;

  Status Expect(const std::string& key, Type type, const char* name, const Json** out) const;

  using Members = std::map<std::string, Json>;

  template <typename T>
  const T& Value() const {
    static const T kEmpty{};
    const T* value = std::get_if<T>(&value_);
    return value != nullptr ? *value : kEmpty;
  }

  // One alternative for each type, in the types' order: an index of many samples has many values.
  std::variant<std::monostate, bool, double, std::string, std::vector<Json>, Members> value_;
};

// Returns the string as a JSON literal with its quotes; in a string that is not UTF-8, '?' stands for what is not
// ASCII.
std::string JsonQuoted(const std::string& text);

// Returns whether the bytes are UTF-8 (no surrogates, no overlong forms).
bool IsUtf8(const std::string& text);

}  // namespace ocrnet

#endif  // OCRNET_INC_JSON_H_
