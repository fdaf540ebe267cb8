#include "inc/json.h"

#include <cmath>
#include <cstdio>
#include <utility>

namespace ocrnet {
namespace {

constexpr double kMaxWhole = 9007199254740992.0;  // 2^53: doubles hold every whole number up to here

bool WholeNumber(const Json& value, int64_t* out) {
  const double number = value.number();
  if (value.type() != Json::Type::kNumber || std::floor(number) != number || std::fabs(number) > kMaxWhole)
    return false;
  *out = static_cast<int64_t>(number);
  return true;
}

bool TextItem(const Json& value, std::string* out) {
  *out = value.string();
  return value.type() == Json::Type::kString;
}

bool NumberItem(const Json& value, double* out) {
  *out = value.number();
  return value.type() == Json::Type::kNumber;
}

// Reads a list whose items are all of one kind; `read` returns whether an item is.
template <typename T>
Status ReadItems(const Json& json, const std::string& key, const char* kind, bool (*read)(const Json&, T*),
                 std::vector<T>* out) {
  const Json* list;
  OCRNET_RETURN_IF_ERROR(json.GetArray(key, &list));
  out->clear();
  for (const Json& item : list->items()) {
    T value{};
    if (!read(item, &value)) return Status::UserError("\"" + key + "\" holds something that is not " + kind);
    out->push_back(std::move(value));
  }
  return Status::Ok();
}

}  // namespace

const Json* Json::Find(const std::string& key) const {
  const Members& members = Value<Members>();
  const auto member = members.find(key);
  return member == members.end() ? nullptr : &member->second;
}

Status Json::Expect(const std::string& key, Type type, const char* name, const Json** out) const {
  *out = Find(key);
  if (*out == nullptr) return Status::UserError("\"" + key + "\" is missing");
  if ((*out)->type() != type) return Status::UserError("\"" + key + "\" is not " + name);
  return Status::Ok();
}

Status Json::Get(const std::string& key, std::string* out) const {
  const Json* value;
  OCRNET_RETURN_IF_ERROR(Expect(key, Type::kString, "a string", &value));
  *out = value->string();
  return Status::Ok();
}

Status Json::Get(const std::string& key, bool* out) const {
  const Json* value;
  OCRNET_RETURN_IF_ERROR(Expect(key, Type::kBool, "true or false", &value));
  *out = value->boolean();
  return Status::Ok();
}

Status Json::Get(const std::string& key, double* out) const {
  const Json* value;
  OCRNET_RETURN_IF_ERROR(Expect(key, Type::kNumber, "a number", &value));
  *out = value->number();
  return Status::Ok();
}

Status Json::Get(const std::string& key, int64_t* out) const {
  const Json* value;
  OCRNET_RETURN_IF_ERROR(Expect(key, Type::kNumber, "a whole number", &value));
  return WholeNumber(*value, out) ? Status::Ok() : Status::UserError("\"" + key + "\" is not a whole number");
}

Status Json::Get(const std::string& key, std::vector<std::string>* out) const {
  return ReadItems(*this, key, "a string", TextItem, out);
}

Status Json::Get(const std::string& key, std::vector<double>* out) const {
  return ReadItems(*this, key, "a number", NumberItem, out);
}

Status Json::Get(const std::string& key, std::vector<int64_t>* out) const {
  return ReadItems(*this, key, "a whole number", WholeNumber, out);
}

Status Json::GetObject(const std::string& key, const Json** out) const {
  return Expect(key, Type::kObject, "an object", out);
}

Status Json::GetArray(const std::string& key, const Json** out) const {
  return Expect(key, Type::kArray, "a list", out);
}

std::string JsonQuoted(const std::string& text) {
  const bool is_utf8 = IsUtf8(text);
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else if (!is_utf8 && static_cast<unsigned char>(c) >= 0x80) {
      quoted += '?';
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

bool IsUtf8(const std::string& text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&text](size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(i);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                          : first < 0xF5 ? 4
                                         : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    if (first == 0xE0 && byte(i + 1) < 0xA0) return false;  // overlong
    if (first == 0xED && byte(i + 1) > 0x9F) return false;  // surrogates
    if (first == 0xF0 && byte(i + 1) < 0x90) return false;  // overlong
    if (first == 0xF4 && byte(i + 1) > 0x8F) return false;  // beyond U+10FFFF
    i += length;
  }
  return true;
}

}  // namespace ocrnet
