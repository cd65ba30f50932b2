// SPDX-License-Identifier: MIT
#include <quaver/base/philox.hpp>

#include <gtest/gtest.h>

namespace {

using namespace quaver;

struct known_answer {
  philox_block counter;
  uint32_t key0, key1;
  philox_block expected;
};

// Rows "philox4x32 10" of the file of known answers that comes with Random123.
constexpr known_answer known_answers[] = {
    {{{0, 0, 0, 0}}, 0, 0, {{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}}},
    {{{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}},
     0xFFFFFFFF,
     0xFFFFFFFF,
     {{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}}},
    {{{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}},
     0xA4093822,
     0x299F31D0,
     {{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}}},
};

TEST(Philox, gives_the_published_answers) {
  for (const known_answer& row : known_answers) {
    const philox_block words = philox4x32(row.counter, row.key0, row.key1);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(words.word[i], row.expected.word[i]);
  }
}

TEST(Philox, is_constexpr) {
  constexpr philox_block words = philox4x32({{0, 0, 0, 0}}, 0, 0);
  static_assert(words.word[0] == 0x6627E8D5 && words.word[3] == 0x9B00DBD8);
}

TEST(Philox, puts_the_seed_in_the_key_and_the_block_in_the_counter_low_halves_first) {
  const philox_block words    = philox_words(0xA4093822'299F31D0, 0x00000003'85A308D3);
  const philox_block expected = philox4x32({{0x85A308D3, 0x00000003, 0, 0}}, 0x299F31D0, 0xA4093822);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(words.word[i], expected.word[i]);
}

TEST(Philox, gives_element_i_the_word_i_mod_4_of_block_i_div_4) {
  for (const uint64_t seed : {uint64_t{0}, uint64_t{42}, ~uint64_t{0}}) {
    for (uint64_t index = 0; index < 64; ++index) {
      EXPECT_EQ(philox_word(seed, index), philox_words(seed, index / 4).word[index % 4]);
    }
    const uint64_t far = (uint64_t{1} << 40) + 7;
    EXPECT_EQ(philox_word(seed, far), philox_words(seed, far / 4).word[3]);
  }
}

}  // namespace
