// Against the vectors of RFC 4648, part 10.
#include "base/text/base64.h"

#include <gtest/gtest.h>

#include <utility>

namespace shimmy {
namespace {

TEST(Base64, IsTheStandards) {
    for (const auto & [bytes, text] :
         {std::pair{"", ""}, std::pair{"f", "Zg=="}, std::pair{"fo", "Zm8="}, std::pair{"foo", "Zm9v"},
          std::pair{"foob", "Zm9vYg=="}, std::pair{"fooba", "Zm9vYmE="}, std::pair{"foobar", "Zm9vYmFy"}}) {
        EXPECT_EQ(base64(bytes), text);
        EXPECT_EQ(from_base64(text), bytes);
    }
    const std::string all("\0\xfb\xff\xfe\x80", 5);
    EXPECT_EQ(base64(all), "APv//oA=");
    EXPECT_EQ(from_base64("APv//oA="), all);
}

TEST(Base64, WhatIsNone) {
    for (const char * text : {"Zg", "Zg=", "Zg==Zg==", "Z===", "====", "Zm9 ", "Zm9v\n", " Zm9v", "Zm9-", "Zm=v"})
        EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace shimmy
