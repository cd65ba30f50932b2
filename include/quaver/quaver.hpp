// SPDX-License-Identifier: MIT
#ifndef QUAVER_QUAVER_HPP
#define QUAVER_QUAVER_HPP

// Everything for hosts but io (which needs a JSON library), value/arithmetic.hpp (opt-in), value/format.hpp (<format>
// costs more than all of this) and the reference.

#include <quaver/base/philox.hpp>
#include <quaver/base/status.hpp>
#include <quaver/convert/members.hpp>
#include <quaver/cpu/cast_stats_n.hpp>
#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cpu/encode_n.hpp>
#include <quaver/cpu/encode_with_stats_n.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/cpu/pack_n.hpp>
#include <quaver/cpu/quantize.hpp>
#include <quaver/format/classify.hpp>
#include <quaver/format/limits.hpp>
#include <quaver/format/packed.hpp>
#include <quaver/problem/gemm_problem.hpp>
#include <quaver/scale/block_scale.hpp>
#include <quaver/scale/current_scale.hpp>
#include <quaver/scale/sqnr.hpp>
#include <quaver/tensor/scaled_matrix.hpp>
#include <quaver/value/hash.hpp>
#include <quaver/value/literals.hpp>
#include <quaver/value/math.hpp>
#include <quaver/value/ostream.hpp>
#include <quaver/value/text.hpp>

#endif
