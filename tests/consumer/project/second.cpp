// SPDX-License-Identifier: MIT
#include <quaver/quaver.hpp>

unsigned second_file(float x) { return quaver::encode<quaver::e4m3>(x).bits(); }
