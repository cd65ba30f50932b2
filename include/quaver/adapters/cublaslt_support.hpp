// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUBLASLT_SUPPORT_HPP
#define QUAVER_ADAPTERS_CUBLASLT_SUPPORT_HPP

// What cuBLASLt can do of a gemm_problem, and why not. The library says NOT_SUPPORTED to everything else, some of it
// only when it is to run; here each reason is a sentence. The rules are those of cuBLASLt 13.1 as tried out on compute
// capability 9.0 (docs/gemm.md has the table), and for MX and NVFP4, which begin with 10.0, as documented and not tried;
// what passes them and the library still refuses is refused with its words.

#include <quaver/adapters/cublaslt_request.hpp>
#include <quaver/problem/gemm_checks.hpp>

#include <tuple>

QUAVER_BEGIN_NAMESPACE

/// How the library is to run a request.
struct cublaslt_form {
  int32_t a_mode = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
  int32_t b_mode = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
  /// 128x128 scales whose rows the library wants padded to a multiple of 4: floats of the copy, or 0.
  int64_t a_padded = 0;
  int64_t b_padded = 0;
  bool loops       = false;  ///< one launch a batch: the library batches tensor-wide scales alone, and shared ones
  bool two_levels  = false;  ///< NVFP4: the scales above all others are made a part of alpha, in device memory
};

/// "9.0" for 90.
inline std::string capability_text(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

inline const char* cublaslt_mode_name(int32_t mode) noexcept {
  switch (mode) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F: return "one scale";
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: return "one a row";
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F: return "1x128";
    case CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F: return "128x128";
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0: return "MX 1x32";
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3: return "NVFP4 1x16";
    default: return "another mode";
  }
}

/// Whether the scales of an operand are what a mode takes. A layout can be what several take: with one row, or K of
/// 128 or less, some blocks are the same.
inline bool fits_cublaslt_mode(const cublaslt_operand& x, int64_t k, int32_t mode) noexcept {
  const scale_layout& layout = x.layout;
  const int64_t down         = layout.scale_rows(x.rows);
  const int64_t right        = layout.scale_cols(k);
  const auto fits            = [](int block, int64_t extent, int wanted) {
    return block == wanted || (extent <= wanted && (block == 0 || block >= extent));
  };
  const bool tiles = layout.order == scale_order::tiles_128x4;
  if (mode == CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0) {
    return tiles && layout.type == scale_type::mx_e8m0 && x.type != CUDA_R_4F_E2M1 &&
           fits(layout.block_rows, x.rows, 1) && fits(layout.block_cols, k, 32);
  }
  if (mode == CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3) {
    return tiles && layout.type == scale_type::nvfp4_e4m3 && x.type == CUDA_R_4F_E2M1 &&
           fits(layout.block_rows, x.rows, 1) && fits(layout.block_cols, k, 16);
  }
  if (layout.type != scale_type::f32 || (tiles && (down > 1 || right > 1))) return false;
  switch (mode) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F: return down == 1 && right == 1;
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: return fits(layout.block_rows, x.rows, 1) && right == 1;
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F:
      return fits(layout.block_rows, x.rows, 1) && fits(layout.block_cols, k, 128) &&
             (layout.order == scale_order::column_major || down == 1 || right == 1);
    case CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F:
      return fits(layout.block_rows, x.rows, 128) && fits(layout.block_cols, k, 128) &&
             (layout.order == scale_order::row_major || down == 1 || right == 1);
    default: return false;
  }
}

inline status cublaslt_unsupported(std::string message) {
  return {status_code::unsupported, "cuBLASLt: " + std::move(message)};
}

inline std::string order_text(scale_order order) {
  switch (order) {
    case scale_order::row_major: return "row_major";
    case scale_order::column_major: return "column_major";
    case scale_order::tiles_128x4: return "tiles_128x4";
  }
  return "";
}

inline std::string scale_text(const cublaslt_operand& x, int64_t k) {
  const scale_layout& layout = x.layout;
  const int64_t count        = layout.block_count(x.rows, k);
  std::string text           = count == 1 ? std::string("one scale") : std::to_string(count) + " scales";
  text += " (blocks of " + (layout.block_rows == 0 ? "all" : std::to_string(layout.block_rows)) + " x " +
          (layout.block_cols == 0 ? "all" : std::to_string(layout.block_cols));
  return text + ", " + order_text(layout.order) + ")";
}

/// What the scales of MX and NVFP4 must look like from compute capability 10.0 on, and before that they cannot be.
inline status check_cublaslt_narrow_scales(const char* name, const cublaslt_operand& x, int64_t k, int device,
                                           int capability) {
  const scale_layout& layout = x.layout;
  const std::string of       = std::string("the scales of ") + name;
  const bool mx              = layout.type == scale_type::mx_e8m0;
  const std::string are      = of + (mx ? " are MX (E8M0)" : " are NVFP4 (E4M3)");
  const std::string mode = mx ? "CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0" : "CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3";
  if (capability < 100) {
    return cublaslt_unsupported(are + ", whose mode " + mode + " begins with compute capability 10.0; device " +
                                std::to_string(device) + " has " + capability_text(capability));
  }
  if (mx && x.type == CUDA_R_4F_E2M1) {
    return cublaslt_unsupported(are + " and " + name + " is e2m1x2; the library has MX scales for e4m3 and e5m2, and " +
                                "NVFP4 scales for e2m1x2");
  }
  if (!mx && x.type != CUDA_R_4F_E2M1) {
    return cublaslt_unsupported(are + " and " + name + " is " + cublaslt_type_name(x.type) +
                                "; the library has them for two e2m1 a byte (e2m1x2)");
  }
  if (fits_cublaslt_mode(x, k,
                         mx ? CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0 : CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3)) {
    return {};
  }
  if (layout.order != scale_order::tiles_128x4) {
    return cublaslt_unsupported(are + " and lie " + order_text(layout.order) +
                                "; the library wants scale_order::tiles_128x4");
  }
  return cublaslt_unsupported(are + " with blocks of " + shape_text(layout.block_rows, layout.block_cols) +
                              "; the mode " + mode + " has 1 x " + (mx ? "32" : "16"));
}

/// Why an operand's own scales rule it out, whatever those of the other are; or ok.
inline status check_cublaslt_scales(const char* name, const cublaslt_operand& x, int64_t k, int device,
                                    int capability) {
  const scale_layout& layout = x.layout;
  const std::string of       = std::string("the scales of ") + name;
  if (layout.type != scale_type::f32) return check_cublaslt_narrow_scales(name, x, k, device, capability);
  if (x.type == CUDA_R_4F_E2M1) {
    return cublaslt_unsupported(std::string(name) +
                                " is e2m1x2 and has f32 scales; the library has NVFP4 scales for it");
  }
  const int64_t down  = layout.scale_rows(x.rows);
  const int64_t right = layout.scale_cols(k);
  const bool lines    = layout.block_rows == 1 && layout.block_cols == 128;
  const bool squares  = layout.block_rows == 128 && layout.block_cols == 128;
  if (lines && layout.order == scale_order::row_major && down > 1 && right > 1) {
    return cublaslt_unsupported(of + " (1x128, " + shape_text(down, right) +
                                ") are row_major; the library wants scale_order::column_major: the scales of all rows "
                                "for the first 128 of K, then those for the next");
  }
  if (squares && layout.order == scale_order::column_major && down > 1 && right > 1) {
    return cublaslt_unsupported(
        of + " (128x128, " + shape_text(down, right) +
        ") are column_major; the library wants scale_order::row_major: those along K side by side");
  }
  const int64_t count = layout.block_count(x.rows, k);
  if (layout.order == scale_order::tiles_128x4 && count > 1) {
    return cublaslt_unsupported(of + " are f32 and lie in tiles_128x4, which the library has for MX and NVFP4");
  }
  const bool known = count == 1 || (layout.block_rows == 1 && right == 1) || lines || squares;
  if (known) return {};
  return cublaslt_unsupported(std::string(name) + " has " + scale_text(x, k) +
                              "; the library has one scale, one a row, 1x128 and 128x128");
}

/// The modes for the scales of A and B together, or why there are none.
inline status choose_cublaslt_modes(const cublaslt_request& request, int capability, cublaslt_form& form) {
  if (status bad = check_cublaslt_scales("A", request.a, request.k, request.device, capability); !bad.ok()) return bad;
  if (status bad = check_cublaslt_scales("B", request.b, request.k, request.device, capability); !bad.ok()) return bad;
  constexpr int32_t one     = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
  constexpr int32_t rows    = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  constexpr int32_t lines   = CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F;
  constexpr int32_t squares = CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F;
  // Lines may be scaled where the rows are a multiple of 4; the pairs that ask for less come first.
  constexpr int32_t mx         = CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0;
  constexpr int32_t nvfp4      = CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3;
  constexpr int32_t pairs[][2] = {{one, one},     {rows, rows}, {lines, squares}, {squares, lines},
                                  {lines, lines}, {mx, mx},     {nvfp4, nvfp4}};
  int64_t odd_rows             = 0;
  for (const auto& [a, b] : pairs) {
    if (!fits_cublaslt_mode(request.a, request.k, a) || !fits_cublaslt_mode(request.b, request.k, b)) continue;
    if (a == lines && request.m() % 4 != 0) odd_rows = request.m();
    else if (b == lines && request.n() % 4 != 0) odd_rows = request.n();
    else {
      form.a_mode           = a;
      form.b_mode           = b;
      form.two_levels       = a == nvfp4;
      const int64_t along_k = (request.k + 127) / 128;
      const auto padded     = [&](int32_t mode, const cublaslt_operand& x) -> int64_t {
        const int64_t down = x.layout.scale_rows(x.rows);
        return mode == squares && along_k % 4 != 0 && down > 1 ? down * ((along_k + 3) / 4 * 4) : 0;
      };
      form.a_padded = padded(a, request.a);
      form.b_padded = padded(b, request.b);
      if (a != one && capability < 90) {
        return cublaslt_unsupported(std::string("scales of ") + cublaslt_mode_name(a) + " and " +
                                    cublaslt_mode_name(b) + " begin with compute capability 9.0; this device has " +
                                    capability_text(capability));
      }
      return {};
    }
  }
  if (odd_rows != 0) {
    return cublaslt_unsupported("1x128 scales of " + std::to_string(odd_rows) +
                                " rows: the library wants a multiple of 4");
  }
  return cublaslt_unsupported("A has " + scale_text(request.a, request.k) + ", B has " +
                              scale_text(request.b, request.k) +
                              "; the library has both one, both one a row, 1x128 by 128x128, 128x128 by 1x128, "
                              "1x128 by 1x128, both MX and both NVFP4");
}

/// `data` and the steps between rows and batches are multiples of 16 bytes, elements of a row side by side.
inline status check_cublaslt_place(const char* name, const void* data, int64_t row_stride, int64_t col_stride,
                                   int64_t batch_stride, int64_t size) {
  const std::string of = name;
  if (col_stride != 1) {
    return cublaslt_unsupported("the elements of a row of " + of + " are " + std::to_string(col_stride) +
                                " apart; they must lie side by side");
  }
  const auto past = reinterpret_cast<std::uintptr_t>(data) % 16;
  if (past != 0) {
    return cublaslt_unsupported(of + " begins " + std::to_string(past) + " bytes past a multiple of 16 bytes");
  }
  if (row_stride * size % 16 != 0) {
    return cublaslt_unsupported("the rows of " + of + " are " + std::to_string(row_stride * size) +
                                " bytes apart; it must be a multiple of 16 bytes");
  }
  if (batch_stride * size % 16 != 0) {
    return cublaslt_unsupported("the batches of " + of + " are " + std::to_string(batch_stride * size) +
                                " bytes apart; it must be a multiple of 16 bytes");
  }
  return {};
}

/// What comes after the sum: activation, bias, 8-bit D and its amax.
inline status check_cublaslt_epilogue(const cublaslt_request& request, const cublaslt_form& form) {
  const std::string d = cublaslt_type_name(request.d_type);
  if (request.bias != nullptr) {
    return cublaslt_unsupported("the bias is float (" + std::to_string(request.n()) +
                                " values); the library reads D's type or bfloat16, and rounding it would change D");
  }
  if (request.act == activation::gelu) {
    return cublaslt_unsupported(
        "gelu is x * Phi(x); the library has the approximation with tanh, which is another function");
  }
  if (request.act == activation::silu) return cublaslt_unsupported("the library has no silu");
  // Seen with 1x128 by 1x128 scales: D of -2.859375 (alpha * A * B^T of -10.859375, C of 8) came out as -2.875. Which
  // other algorithms do so is not known, so none is trusted with it.
  if (cublaslt_bytes(request.d_type) == 2 && request.beta != 0.0f) {
    return cublaslt_unsupported("C is " + d + " as D is (beta " + std::to_string(request.beta) +
                                "); algorithms of the library round alpha * A * B^T to it before they add C");
  }
  if (cublaslt_bytes(request.d_type) != 1) {
    if (request.d_amax == nullptr) return {};
    return cublaslt_unsupported("the amax of D is had for 8-bit D alone; D is " + d);
  }
  if (request.d_type == CUDA_R_8F_E5M2 && request.a.type == request.b.type) {
    return cublaslt_unsupported(
        "D is e5m2 and both A and B are e4m3; the library writes e5m2 where one of them is e5m2");
  }
  if (request.beta != 0.0f) {
    return cublaslt_unsupported("C is " + d + " as D is (beta " + std::to_string(request.beta) +
                                "); beside 8-bit D the library reads bfloat16 or half");
  }
  if (form.a_mode != CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F) {
    return cublaslt_unsupported("D is " + d + " and the scales are " + cublaslt_mode_name(form.a_mode) + " and " +
                                cublaslt_mode_name(form.b_mode) + "; the library writes 8-bit D with one scale each");
  }
  if (form.loops && request.d_amax != nullptr) {
    return cublaslt_unsupported("the amax of " + std::to_string(request.batches) +
                                " D with scales of their own: each launch would set it");
  }
  return {};
}

/// Why the library cannot run a request that passed check_gemm and has elements, or ok and how it is to run it.
inline status check_cublaslt(const cublaslt_request& request, int capability, cublaslt_form& form) {
  const auto& [a, b] = std::tie(request.a, request.b);
  if (capability < 89) {
    return cublaslt_unsupported("8-bit floats begin with compute capability 8.9; device " +
                                std::to_string(request.device) + " has " + capability_text(capability));
  }
  const auto known = [](int type) {
    return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2 || type == CUDA_R_4F_E2M1;
  };
  if (!known(a.type) || !known(b.type) || request.d_type == no_cublaslt_type) {
    return cublaslt_unsupported(
        std::string("A is ") + cublaslt_type_name(a.type) + ", B is " + cublaslt_type_name(b.type) + ", D is " +
        cublaslt_type_name(request.d_type) +
        "; the library has e4m3 and e5m2, for A and B together two e2m1 a byte, and for D float, "
        "half and bfloat16 too");
  }
  const bool narrow = a.type == CUDA_R_4F_E2M1 || b.type == CUDA_R_4F_E2M1;
  if (narrow && capability < 100) {
    return cublaslt_unsupported(std::string(a.type == CUDA_R_4F_E2M1 ? "A" : "B") +
                                " is e2m1x2, whose mode CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3 begins with compute "
                                "capability 10.0; device " +
                                std::to_string(request.device) + " has " + capability_text(capability));
  }
  if (narrow && a.type != b.type) {
    return cublaslt_unsupported(std::string("A is ") + cublaslt_type_name(a.type) + ", B is " +
                                cublaslt_type_name(b.type) + "; the library multiplies e2m1x2 by e2m1x2");
  }
  if (a.type == CUDA_R_8F_E5M2 && b.type == CUDA_R_8F_E5M2) {
    return cublaslt_unsupported("A and B are both e5m2; the library multiplies e4m3 by e4m3 and the two mixes");
  }
  const int64_t line_of_k = narrow ? 32 : 16;  // values in 16 bytes
  if (request.k == 0 || request.k % line_of_k != 0) {
    return cublaslt_unsupported("K is " + std::to_string(request.k) + "; it must be a multiple of " +
                                std::to_string(line_of_k) + ", and not 0");
  }
  const int64_t size = cublaslt_bytes(request.d_type);
  if (request.n() * size % 16 != 0) {
    return cublaslt_unsupported("N is " + std::to_string(request.n()) + ": rows of D of " +
                                std::to_string(request.n() * size) + " bytes; it must be a multiple of 16 bytes");
  }
  constexpr int64_t most = int64_t{1} << 31;
  if (request.m() >= most || request.n() >= most || request.k >= most || request.batches >= most) {
    return cublaslt_unsupported("M, N, K or the batches (" + std::to_string(request.m()) + ", " +
                                std::to_string(request.n()) + ", " + std::to_string(request.k) + ", " +
                                std::to_string(request.batches) + ") are 2^31 or more");
  }
  for (const auto& [name, x] : {std::pair("A", &a), std::pair("B", &b)}) {
    const int64_t row_bytes = cublaslt_operand_bytes(x->type, x->row_stride);
    if (status bad = check_cublaslt_place(name, x->data, row_bytes, x->col_stride, x->batch_bytes(), 1); !bad.ok())
      return bad;
  }
  if (status bad = check_cublaslt_place("D", request.d, request.d_row_stride, request.d_col_stride,
                                        request.d_batch_stride, size);
      !bad.ok())
    return bad;
  if (request.c != nullptr) {
    if (status bad = check_cublaslt_place("C", request.c, request.c_row_stride, request.c_col_stride,
                                          request.c_batch_stride, size);
        !bad.ok())
      return bad;
  }
  form = {};
  if (status bad = choose_cublaslt_modes(request, capability, form); !bad.ok()) return bad;
  const bool blocks = form.a_mode != CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F &&
                      form.a_mode != CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  if (blocks && request.accumulate == accumulation::fast) {
    return cublaslt_unsupported("fast accumulation with block scales: the library adds up each 128 of K strictly");
  }
  form.loops = request.batches > 1 &&
               (form.a_mode != CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F || a.scale_stride != 0 || b.scale_stride != 0);
  for (const auto& [name, operand] : {std::pair("A", &a), std::pair("B", &b)}) {
    const auto past = reinterpret_cast<std::uintptr_t>(operand->scales) % 16;
    if (past != 0 || operand->scale_batch_bytes() % 16 != 0) {
      return cublaslt_unsupported(std::string("the scales of ") + name + " begin " + std::to_string(past) +
                                  " bytes past a multiple of 16 bytes, those of batches are " +
                                  std::to_string(operand->scale_batch_bytes()) +
                                  " bytes apart; both must be multiples of 16 bytes");
    }
  }
  if (const auto past = reinterpret_cast<std::uintptr_t>(request.d_scale_at) % 16; past != 0) {
    return cublaslt_unsupported("the scale of D begins " + std::to_string(past) + " bytes past a multiple of 16 bytes");
  }
  return check_cublaslt_epilogue(request, form);
}

QUAVER_END_NAMESPACE

#endif
