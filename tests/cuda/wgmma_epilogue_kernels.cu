// SPDX-License-Identifier: MIT
#include "wgmma_epilogue_kernels.hpp"

#include <quaver/cuda/wgmma_gemm_with.cuh>
#include <quaver/scale/current_scale.hpp>

namespace quaver_test {

/// What is an epilogue, and what is none.
struct takes_four {
  __device__ void operator()(const cuda::product_quad& at, const float (&x)[4]) const;
};
struct takes_two {
  __device__ void operator()(const cuda::product_quad& at, const float (&x)[2]) const;
};
struct not_copied_as_bytes : takes_four {
  ~not_copied_as_bytes() {}
};
struct large : takes_four {
  float weights[300];
};
static_assert(cuda::product_epilogue<takes_four> && cuda::product_epilogue<cuda::epilogues::swiglu>);
static_assert(!cuda::product_epilogue<takes_two> && !cuda::product_epilogue<not_copied_as_bytes>);
static_assert(!cuda::product_epilogue<large> && !cuda::product_epilogue<int>);

namespace {

using namespace quaver::cuda::epilogues;

#if QUAVER_TEST_EVERY_MIX
/// See run_row_blocks.
struct row_blocks {
  matrix_view<e4m3> d;
  int64_t d_stride;
  float* scales;
  int64_t blocks;  ///< of a row

  __device__ void operator()(const cuda::product_quad& at, const float (&x)[4]) const {
    float largest = 0.0f;
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) largest = fmaxf(largest, fabsf(x[i]));
    }
    for (int apart = 16; apart != 0; apart /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xFFFF'FFFF, largest, apart));
    const tensor_scale scale = current_scale<e4m3>(largest);
    if (threadIdx.x % 32 == 0) scales[(at.batch * d.rows + at.row) * blocks + at.col / 128] = scale.dequant.value();
    for (int i = 0; i < 4; ++i) {
      if (i < at.count)
        d.data[at.batch * d_stride + at.row * d.row_stride + (at.col + i) * d.col_stride] =
            cuda::encode<e4m3>(cuda::multiply(x[i], scale.quant.value()));
    }
  }
};
#endif

template <class D>
cuda::gemm_product<e4m3, e4m3> product_of(const gemm_problem<e4m3, e4m3, D>& problem) {
  cuda::gemm_product<e4m3, e4m3> product;
  product.a          = problem.a;
  product.b          = problem.b;
  product.accumulate = problem.accumulate;
  product.batches    = problem.batches;
  return product;
}

template <cuda::wgmma_sums... Sums, class D>
auto make_swiglu(const gemm_problem<e4m3, e4m3, D>& p, tile with) {
  const matrix_view<D> half_of_d(p.d.data, p.d.rows, p.d.cols / 2, p.d.row_stride, p.d.col_stride);
  cuda::wgmma_options options;
  options.tile = static_cast<cuda::wgmma_tile>(with);
  return cuda::plan_wgmma_with<Sums...>(
      product_of(p),
      in_order(times{p.alpha}, plus_bias{p.bias, p.batches.bias_stride}, swiglu{}, amax_to{p.d_amax},
               times{p.d_scale.value()}, store<D>{half_of_d, p.batches.d_stride}),
      options);
}

using enum cuda::wgmma_sums;
auto plan_swiglu(const gemm_problem<e4m3, e4m3, e4m3>& p, tile with) { return make_swiglu<scaled>(p, with); }
#if QUAVER_TEST_EVERY_MIX
auto plan_swiglu(const gemm_problem<e4m3, e4m3, bfloat16>& p, tile with) {
  return make_swiglu<whole, promoted>(p, with);
}
auto plan_swiglu(const gemm_problem<e4m3, e4m3, float>& p, tile with) { return make_swiglu<promoted, scaled>(p, with); }
#endif

}  // namespace

template <class D>
status run_swiglu(const gemm_problem<e4m3, e4m3, D>& problem, tile with, cudaStream_t stream) {
  const auto plan = plan_swiglu(problem, with);
  return plan.ok() ? plan->launch(stream) : plan.error();
}
template <class D>
std::string plan_of_swiglu(const gemm_problem<e4m3, e4m3, D>& problem, tile with) {
  const auto plan = plan_swiglu(problem, with);
  return plan.ok() ? plan->description() : plan.message();
}

#define INSTANTIATE(D)                                                                \
  template status run_swiglu(const gemm_problem<e4m3, e4m3, D>&, tile, cudaStream_t); \
  template std::string plan_of_swiglu(const gemm_problem<e4m3, e4m3, D>&, tile);
INSTANTIATE(e4m3)
#if QUAVER_TEST_EVERY_MIX
INSTANTIATE(bfloat16)
INSTANTIATE(float)

status run_row_blocks(const gemm_problem<e4m3, e4m3, e4m3>& p, float* scales, tile with, cudaStream_t stream) {
  cuda::wgmma_options options;
  options.tile = static_cast<cuda::wgmma_tile>(with);
  const row_blocks own{p.d, p.batches.d_stride, scales, (p.d.cols + 127) / 128};
  return cuda::wgmma_gemm_with<whole>(product_of(p), in_order(times{p.alpha}, own), options, stream);
}

status run_steps(const gemm_problem<e4m3, e4m3, half>& p, const float* one, tile with) {
  cuda::wgmma_options options;
  options.tile                           = static_cast<cuda::wgmma_tile>(with);
  cuda::gemm_product<e4m3, e4m3> product = product_of(p);
  product.a.layout = product.b.layout = per_tensor;
  product.a.scales = product.b.scales = one;
  product.batches.a_scale_stride      = 0;
  product.batches.b_scale_stride      = 0;
  const gemm_batches& by              = p.batches;
  const auto epilogue =
      in_order(times_rows{p.a.scales, by.a_scale_stride}, times_cols{p.b.scales, by.b_scale_stride}, times{p.alpha},
               plus_matrix<half>{p.c, p.beta, by.c_stride}, plus_bias{p.bias, by.bias_stride},
               activate<activation::gelu>{}, amax_to{p.d_amax}, store<half>{p.d, by.d_stride});
  return cuda::wgmma_gemm_with<whole>(product, epilogue, options);
}
#endif

}  // namespace quaver_test
