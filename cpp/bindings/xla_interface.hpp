// What XLA passes to a compiled function that jax.ffi registers: the structures of its C interface that we read, at
// version 0.1, the one of the oldest jax that we support; a runtime takes those of older versions and refuses newer
// ones. tests/integrations/test_jax.py compares their sizes and offsets with the header of the installed jax.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hbm_fast::xla {

constexpr int version_major = 0;
constexpr int version_minor = 1;

struct Extension {
  std::size_t struct_size;
  int type;
  Extension* next;
};
constexpr int metadata_extension = 1;

struct Version {
  std::size_t struct_size;
  Extension* extension;
  int major;
  int minor;
};

struct Metadata {
  std::size_t struct_size;
  Version version;
  std::uint32_t traits;
};

struct MetadataExtension {
  Extension base;
  Metadata* metadata;
};

enum Type : int {
  int8 = 2,
  int16 = 3,
  int32 = 4,
  int64 = 5,
  uint8 = 6,
  uint16 = 7,
  uint32 = 8,
  uint64 = 9,
  float32 = 11,
  float64 = 12
};

struct Buffer {
  std::size_t struct_size;
  Extension* extension;
  int type;
  void* data;
  std::int64_t rank;
  std::int64_t* dims;
};

struct Buffers {  // arguments and results
  std::size_t struct_size;
  Extension* extension;
  std::int64_t size;
  int* kinds;
  void** buffers;
};

struct Name {
  const char* data;
  std::size_t size;
};

struct Scalar {
  int type;
  void* value;
};

struct Attributes {
  std::size_t struct_size;
  Extension* extension;
  std::int64_t size;
  int* kinds;
  Name** names;  // sorted
  void** values;
};

struct Error;

struct ErrorArguments {
  std::size_t struct_size;
  Extension* extension;
  const char* message;
  int code;
};
constexpr int invalid_argument = 3;

struct Interface {
  std::size_t struct_size;
  Extension* extension;
  Version version;
  const void* internal;
  Error* (*create_error)(ErrorArguments*);
};

struct CallFrame {
  std::size_t struct_size;
  Extension* extension;
  const Interface* api;
  void* context;
  int stage;
  Buffers arguments;
  Buffers results;
  Attributes attributes;
};
constexpr int execute_stage = 3;

}  // namespace hbm_fast::xla
