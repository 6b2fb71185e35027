// Which address a name has, and when it is asked for again.
#include "daemon/names/name_record.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::naming {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Address parse(const char* text) { return Address::parse(text).value(); }

class NameRecordTest : public testing::Test {
protected:
  NameChange take(std::vector<Address> addresses, std::chrono::seconds ttl = 60s) {
    return take_answer(record, {.addresses = std::move(addresses), .ttl = ttl}, now, WallTime{});
  }
  NameChange fail(bool resolver = true) {
    return take_answer(record, {.failure = LookupFailure{.text = "no", .is_of_resolver = resolver}}, now, WallTime{});
  }

  NameRecord record;
  Time now{1h};
};

TEST_F(NameRecordTest, TheFirstAddressIsTheFirstInOrderWhateverOrderTheAnswerHas) {
  EXPECT_EQ(take({parse("198.18.0.9"), parse("198.18.0.3"), parse("198.18.0.3")}), (NameChange{.address = true, .known = true}));
  EXPECT_EQ(record.address, parse("198.18.0.3"));
  EXPECT_THAT(record.others, ElementsAre(parse("198.18.0.9")));
}

TEST_F(NameRecordTest, TheAddressInUseStaysAsLongAsTheAnswerHasIt) {
  take({parse("198.18.0.9")});
  EXPECT_EQ(take({parse("198.18.0.1"), parse("198.18.0.9")}), NameChange{});
  EXPECT_EQ(record.address, parse("198.18.0.9"));
  EXPECT_EQ(take({parse("198.18.0.1")}), NameChange{.address = true});
  EXPECT_EQ(record.address, parse("198.18.0.1"));
}

TEST_F(NameRecordTest, ItIsAskedForAgainWhenItsTimeIsOverWithinBounds) {
  take({parse("198.18.0.1")}, 60s);
  EXPECT_EQ(next_wakeup(record), now + 60s + after_expiry);
  take({parse("198.18.0.1")}, 0s);
  EXPECT_EQ(next_wakeup(record), now + shortest_ttl + after_expiry);
  take({parse("198.18.0.1")}, std::chrono::seconds{864'000});
  EXPECT_EQ(next_wakeup(record), now + longest_ttl + after_expiry);
}

TEST_F(NameRecordTest, AFailureKeepsTheAddressAndIsToldOnce) {
  take({parse("198.18.0.1")});
  EXPECT_EQ(fail(), NameChange{.fails = true});
  EXPECT_EQ(fail(), NameChange{});
  EXPECT_EQ(record.address, parse("198.18.0.1"));
  EXPECT_EQ(take({parse("198.18.0.1")}), NameChange{.recovers = true});
}

TEST_F(NameRecordTest, AfterFailuresItIsAskedForMoreAndMoreSeldom) {
  std::vector<Clock::duration> waits;
  for (int count = 0; count < 7; ++count) {
    fail();
    waits.push_back(next_wakeup(record).value() - now);
  }
  EXPECT_THAT(waits, ElementsAre(1s, 2s, 4s, 8s, 16s, 30s, 30s));
  take({parse("198.18.0.1")});
  fail();
  EXPECT_EQ(next_wakeup(record), now + first_retry);
}

TEST_F(NameRecordTest, AddressesThatNoServerCanHaveAreNone) {
  const NameChange change = take({parse("127.0.0.1"), parse("169.254.1.1")});
  EXPECT_EQ(change, (NameChange{.known = true, .fails = true}));
  EXPECT_FALSE(record.address);
  EXPECT_THAT(record.failure.value().text, HasSubstr("127.0.0.1 is a loopback address"));
  EXPECT_FALSE(record.failure->is_of_resolver);
  EXPECT_TRUE(take({parse("127.0.0.1"), parse("198.18.0.1")}).address);
  EXPECT_EQ(record.address, parse("198.18.0.1"));
}

TEST_F(NameRecordTest, ANameThatNobodyAnswersForASecondIsKnownToHaveNone) {
  record.ask_at = now;
  note_query(record, now);
  EXPECT_EQ(next_wakeup(record), now + answer_within);
  EXPECT_FALSE(give_up_waiting(record, now + answer_within - 1ms));
  EXPECT_TRUE(give_up_waiting(record, now + answer_within));
  EXPECT_FALSE(give_up_waiting(record, now + answer_within)) << "once";
  EXPECT_EQ(next_wakeup(record), std::nullopt) << "until the query ends";
  EXPECT_TRUE(take({parse("198.18.0.1")}).address);
}

} // namespace
} // namespace hanat::naming
