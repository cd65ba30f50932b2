// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_HASH_HPP
#define QUAVER_VALUE_HASH_HPP

#include <quaver/format/classify.hpp>

#include <typeindex>  // the smallest header that declares std::hash

// Equal values hash alike: both zeros to 0. Every other value hashes to its code, so no two collide.

template <int E, int M, quaver::specials Specials, int Bias>
struct std::hash<quaver::minifloat<E, M, Specials, Bias>> {
  constexpr std::size_t operator()(quaver::minifloat<E, M, Specials, Bias> f) const noexcept {
    return quaver::is_zero(f) ? 0 : f.bits();
  }
};

template <>
struct std::hash<quaver::e8m0> {
  constexpr std::size_t operator()(quaver::e8m0 f) const noexcept { return f.bits(); }
};

#endif
