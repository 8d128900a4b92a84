// Compiled by test_jax.py: our declarations of XLA's C interface beside the header of the installed jax.
#include <cstddef>

#include "bindings/xla_interface.hpp"
#include "xla/ffi/api/c_api.h"

namespace own = hbm_fast::xla;

#define SAME_FIELD(ours, field, theirs, their_field)                           \
  static_assert(offsetof(own::ours, field) == offsetof(theirs, their_field) && \
                sizeof(own::ours::field) == sizeof(theirs::their_field))
#define SAME_VALUE(ours, theirs) static_assert(static_cast<int>(own::ours) == static_cast<int>(theirs))
// Later versions add fields at the end.
#define SAME_SIZE(ours, theirs) static_assert(sizeof(own::ours) <= sizeof(theirs))

using XlaExtension = decltype(XLA_FFI_Metadata_Extension::extension_base);  // its name has changed
SAME_SIZE(Extension, XlaExtension);
SAME_FIELD(Extension, struct_size, XlaExtension, struct_size);
SAME_FIELD(Extension, type, XlaExtension, type);
SAME_FIELD(Extension, next, XlaExtension, next);
static_assert(own::metadata_extension == XLA_FFI_Extension_Metadata);

static_assert(own::version_major == XLA_FFI_API_MAJOR && own::version_minor <= XLA_FFI_API_MINOR);
static_assert(sizeof(own::Version) == sizeof(XLA_FFI_Api_Version));
SAME_FIELD(Version, major, XLA_FFI_Api_Version, major_version);
SAME_FIELD(Version, minor, XLA_FFI_Api_Version, minor_version);

SAME_SIZE(Metadata, XLA_FFI_Metadata);
SAME_FIELD(Metadata, version, XLA_FFI_Metadata, api_version);
SAME_FIELD(Metadata, traits, XLA_FFI_Metadata, traits);
SAME_FIELD(MetadataExtension, base, XLA_FFI_Metadata_Extension, extension_base);
SAME_FIELD(MetadataExtension, metadata, XLA_FFI_Metadata_Extension, metadata);

SAME_VALUE(int8, XLA_FFI_DataType_S8);
SAME_VALUE(int16, XLA_FFI_DataType_S16);
SAME_VALUE(int32, XLA_FFI_DataType_S32);
SAME_VALUE(int64, XLA_FFI_DataType_S64);
SAME_VALUE(uint8, XLA_FFI_DataType_U8);
SAME_VALUE(uint16, XLA_FFI_DataType_U16);
SAME_VALUE(uint32, XLA_FFI_DataType_U32);
SAME_VALUE(uint64, XLA_FFI_DataType_U64);
SAME_VALUE(float32, XLA_FFI_DataType_F32);
SAME_VALUE(float64, XLA_FFI_DataType_F64);

SAME_SIZE(Buffer, XLA_FFI_Buffer);
SAME_FIELD(Buffer, type, XLA_FFI_Buffer, dtype);
SAME_FIELD(Buffer, data, XLA_FFI_Buffer, data);
SAME_FIELD(Buffer, rank, XLA_FFI_Buffer, rank);
SAME_FIELD(Buffer, dims, XLA_FFI_Buffer, dims);

static_assert(sizeof(own::Buffers) == sizeof(XLA_FFI_Args) && sizeof(own::Buffers) == sizeof(XLA_FFI_Rets));
SAME_FIELD(Buffers, size, XLA_FFI_Args, size);
SAME_FIELD(Buffers, kinds, XLA_FFI_Args, types);
SAME_FIELD(Buffers, buffers, XLA_FFI_Args, args);
SAME_FIELD(Buffers, size, XLA_FFI_Rets, size);
SAME_FIELD(Buffers, buffers, XLA_FFI_Rets, rets);

static_assert(sizeof(own::Name) == sizeof(XLA_FFI_ByteSpan));
SAME_FIELD(Name, data, XLA_FFI_ByteSpan, ptr);
SAME_FIELD(Name, size, XLA_FFI_ByteSpan, len);
SAME_FIELD(Scalar, type, XLA_FFI_Scalar, dtype);
SAME_FIELD(Scalar, value, XLA_FFI_Scalar, value);
static_assert(sizeof(own::Attributes) == sizeof(XLA_FFI_Attrs));
SAME_FIELD(Attributes, size, XLA_FFI_Attrs, size);
SAME_FIELD(Attributes, kinds, XLA_FFI_Attrs, types);
SAME_FIELD(Attributes, names, XLA_FFI_Attrs, names);
SAME_FIELD(Attributes, values, XLA_FFI_Attrs, attrs);

static_assert(sizeof(own::ErrorArguments) == sizeof(XLA_FFI_Error_Create_Args));
SAME_FIELD(ErrorArguments, message, XLA_FFI_Error_Create_Args, message);
SAME_FIELD(ErrorArguments, code, XLA_FFI_Error_Create_Args, errc);
static_assert(own::invalid_argument == XLA_FFI_Error_Code_INVALID_ARGUMENT);
SAME_SIZE(Interface, XLA_FFI_Api);
SAME_FIELD(Interface, version, XLA_FFI_Api, api_version);
SAME_FIELD(Interface, create_error, XLA_FFI_Api, XLA_FFI_Error_Create);

SAME_SIZE(CallFrame, XLA_FFI_CallFrame);
SAME_FIELD(CallFrame, extension, XLA_FFI_CallFrame, extension_start);
SAME_FIELD(CallFrame, api, XLA_FFI_CallFrame, api);
SAME_FIELD(CallFrame, context, XLA_FFI_CallFrame, ctx);
SAME_FIELD(CallFrame, stage, XLA_FFI_CallFrame, stage);
SAME_FIELD(CallFrame, arguments, XLA_FFI_CallFrame, args);
SAME_FIELD(CallFrame, results, XLA_FFI_CallFrame, rets);
SAME_FIELD(CallFrame, attributes, XLA_FFI_CallFrame, attrs);
