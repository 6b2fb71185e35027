// The layout as text, whole: a change of it is a change of this page, and of layout_version. That these texts mean what they should is
// shown by nft itself (netns/ruleset_test).
#include "nat/layout.hpp"

#include <string>

#include <gtest/gtest.h>

#include "nat/rule_writer.hpp"

namespace hanat::nat {
namespace {

// Types are nft's numbers, six bits a part of a concatenation; 4294967040 is a verdict. Flag 8: a map; 132: intervals of
// concatenations.
constexpr const char* golden_sets = R"(set known4 flags 0 key 29453/12 data 0/0
set known6 flags 0 key 33549/24 data 0/0
set known4_ranges flags 132 key 29453/12 data 0/0
set known6_ranges flags 132 key 33549/24 data 0/0
set target4 flags 8 key 29453/12 data 461/8
set target6 flags 8 key 33549/24 data 525/20
set target4_ranges flags 140 key 29453/12 data 7/4
set target6_ranges flags 140 key 33549/24 data 8/16
set refused4 flags 8 key 29453/12 data 4294967040/0
set refused6 flags 8 key 33549/24 data 4294967040/0
set refused4_ranges flags 140 key 29453/12 data 4294967040/0
set refused6_ranges flags 140 key 33549/24 data 4294967040/0
set stale4 flags 0 key 120639949/20 data 0/0
set stale6 flags 0 key 137417229/44 data 0/0
set stale4_ranges flags 132 key 1884999/16 data 0/0
set stale6_ranges flags 132 key 2147144/40 data 0/0
set moved4 flags 0 key 29453/12 data 0/0
set moved6 flags 0 key 33549/24 data 0/0
set moved4_ranges flags 132 key 29453/12 data 0/0
set moved6_ranges flags 132 key 33549/24 data 0/0
set hold4 flags 0 key 120639949/20 data 0/0
set hold6 flags 0 key 137417229/44 data 0/0
set hold4_ranges flags 132 key 1884999/16 data 0/0
set hold6_ranges flags 132 key 2147144/40 data 0/0
set armed4 flags 8 key 7/4 data 4294967040/0
set armed6 flags 8 key 8/16 data 4294967040/0
set masquerade4 flags 8 key 120639949/20 data 4294967040/0
set masquerade6 flags 8 key 137417229/44 data 4294967040/0
set masquerade4_ranges flags 140 key 1884999/16 data 4294967040/0
set masquerade6_ranges flags 140 key 2147144/40 data 4294967040/0
set source4 flags 8 key 120639949/20 data 7/4
set source6 flags 8 key 137417229/44 data 8/16
set source4_ranges flags 140 key 1884999/16 data 7/4
set source6_ranges flags 140 key 2147144/40 data 8/16
set alive flags 16 key 12/1 data 0/0 timeout 3000 ms
set held4 flags 48 key 1888717/16 data 0/0 timeout 10000 ms size 65536
set held6 flags 48 key 2150925/40 data 0/0 timeout 10000 ms size 65536
set same_way flags 48 key 1300/8 data 0/0 timeout 60000 ms size 65536
)";

// Hooks: 0 prerouting, 3 output, 4 postrouting. Policy 1: accept.
constexpr const char* golden_chains = R"(chain refuse
chain masquerade_random
chain hairpin
chain guard4
chain guard6
chain midstream
chain hold
chain unanswered
chain unreachable
chain untracked_output type filter hook 3 priority -300 policy 1
chain guard type filter hook 0 priority -110 policy 1
chain guard_output type filter hook 3 priority -110 policy 1
chain translate type nat hook 0 priority -105 policy 1
chain translate_output type nat hook 3 priority -105 policy 1
chain source type nat hook 4 priority 95 policy 1
)";

// Each rule is its comment and its expressions. Registers 1, 9, 10, 11, 2 are neighbours, as are 13 to 18 behind register 2.
constexpr const char* golden_rules = R"(chain refuse:
TCP clients learn it at once
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ reject type 1 code 0 ]
others too, as far as the kernel's ICMP rate limit goes
  [ reject type 2 code 1 ]
chain guard4:
answers to the gateway's own flows
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ immediate reg 0 return ]
nobody's flow
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000040 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ immediate reg 0 return ]
no server left
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set refused4 dreg 0 0x0 ]
no server left
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set refused4_ranges dreg 0 0x0 ]
flow to an old server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ ct load src_ip => reg 11 , dir reply ]
  [ ct load proto_src => reg 2 , dir reply ]
  [ lookup reg 1 set stale4 0x0 ]
  [ reject type 1 code 0 ]
flow to an old server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ ct load src_ip => reg 11 , dir reply ]
  [ lookup reg 1 set stale4_ranges 0x0 ]
  [ reject type 1 code 0 ]
leftover of a cut flow
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000001 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set moved4 0x0 ]
  [ reject type 1 code 0 ]
leftover of a cut flow
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000001 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set moved4_ranges 0x0 ]
  [ reject type 1 code 0 ]
chain guard6:
answers to the gateway's own flows
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ immediate reg 0 return ]
nobody's flow
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000040 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ immediate reg 0 return ]
no server left
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set refused6 dreg 0 0x0 ]
no server left
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set refused6_ranges dreg 0 0x0 ]
flow to an old server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ ct load src_ip6 => reg 14 , dir reply ]
  [ ct load proto_src => reg 18 , dir reply ]
  [ lookup reg 1 set stale6 0x0 ]
  [ reject type 1 code 0 ]
flow to an old server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ ct load src_ip6 => reg 14 , dir reply ]
  [ lookup reg 1 set stale6_ranges 0x0 ]
  [ reject type 1 code 0 ]
leftover of a cut flow
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000001 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set moved6 0x0 ]
  [ reject type 1 code 0 ]
leftover of a cut flow
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000001 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set moved6_ranges 0x0 ]
  [ reject type 1 code 0 ]
chain midstream:
a flow that was cut
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4 0x0 ]
  [ reject type 1 code 0 ]
a flow that was cut
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6 0x0 ]
  [ reject type 1 code 0 ]
a flow that was cut
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ reject type 1 code 0 ]
a flow that was cut
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ reject type 1 code 0 ]
chain hold:
its connection stood
  [ ct load status => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000004 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000004 ]
  [ immediate reg 0 return ]
a client is refused: hanatd asks the server at once
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ lookup reg 1 set known4 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat refused group 18529 snaplen 128 qthreshold 1 ]
a client is refused: hanatd asks the server at once
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ lookup reg 1 set known6 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat refused group 18529 snaplen 128 qthreshold 1 ]
a client is refused: hanatd asks the server at once
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat refused group 18529 snaplen 128 qthreshold 1 ]
a client is refused: hanatd asks the server at once
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat refused group 18529 snaplen 128 qthreshold 1 ]
the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 12 => reg 11 ]
  [ payload load 2b @ transport header + 0 => reg 2 ]
  [ lookup reg 1 set hold4 0x0 ]
  [ meta load l4proto => reg 1 ]
  [ lookup reg 1 set alive 0x0 ]
  [ ct load src_ip => reg 1 , dir original ]
  [ ct load proto_src => reg 9 , dir original ]
  [ ct load dst_ip => reg 10 , dir original ]
  [ ct load proto_dst => reg 11 , dir original ]
  [ lookup reg 1 set held4 0x1 ]
  [ ct load src_ip => reg 1 , dir original ]
  [ ct load proto_src => reg 9 , dir original ]
  [ ct load dst_ip => reg 10 , dir original ]
  [ ct load proto_dst => reg 11 , dir original ]
  [ dynset add reg_key 1 set held4 timeout 0ms ]
  [ immediate reg 0 drop ]
the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 8 => reg 14 ]
  [ payload load 2b @ transport header + 0 => reg 18 ]
  [ lookup reg 1 set hold6 0x0 ]
  [ meta load l4proto => reg 1 ]
  [ lookup reg 1 set alive 0x0 ]
  [ ct load src_ip6 => reg 1 , dir original ]
  [ ct load proto_src => reg 2 , dir original ]
  [ ct load dst_ip6 => reg 13 , dir original ]
  [ ct load proto_dst => reg 17 , dir original ]
  [ lookup reg 1 set held6 0x1 ]
  [ ct load src_ip6 => reg 1 , dir original ]
  [ ct load proto_src => reg 2 , dir original ]
  [ ct load dst_ip6 => reg 13 , dir original ]
  [ ct load proto_dst => reg 17 , dir original ]
  [ dynset add reg_key 1 set held6 timeout 0ms ]
  [ immediate reg 0 drop ]
the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 12 => reg 11 ]
  [ lookup reg 1 set hold4_ranges 0x0 ]
  [ meta load l4proto => reg 1 ]
  [ lookup reg 1 set alive 0x0 ]
  [ ct load src_ip => reg 1 , dir original ]
  [ ct load proto_src => reg 9 , dir original ]
  [ ct load dst_ip => reg 10 , dir original ]
  [ ct load proto_dst => reg 11 , dir original ]
  [ lookup reg 1 set held4 0x1 ]
  [ ct load src_ip => reg 1 , dir original ]
  [ ct load proto_src => reg 9 , dir original ]
  [ ct load dst_ip => reg 10 , dir original ]
  [ ct load proto_dst => reg 11 , dir original ]
  [ dynset add reg_key 1 set held4 timeout 0ms ]
  [ immediate reg 0 drop ]
the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 8 => reg 14 ]
  [ lookup reg 1 set hold6_ranges 0x0 ]
  [ meta load l4proto => reg 1 ]
  [ lookup reg 1 set alive 0x0 ]
  [ ct load src_ip6 => reg 1 , dir original ]
  [ ct load proto_src => reg 2 , dir original ]
  [ ct load dst_ip6 => reg 13 , dir original ]
  [ ct load proto_dst => reg 17 , dir original ]
  [ lookup reg 1 set held6 0x1 ]
  [ ct load src_ip6 => reg 1 , dir original ]
  [ ct load proto_src => reg 2 , dir original ]
  [ ct load dst_ip6 => reg 13 , dir original ]
  [ ct load proto_dst => reg 17 , dir original ]
  [ dynset add reg_key 1 set held6 timeout 0ms ]
  [ immediate reg 0 drop ]
chain unanswered:
a client's SYN is not answered
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unanswered group 18529 snaplen 128 qthreshold 1 ]
a client's SYN is not answered
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unanswered group 18529 snaplen 128 qthreshold 1 ]
a client's SYN is not answered
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unanswered group 18529 snaplen 128 qthreshold 1 ]
a client's SYN is not answered
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unanswered group 18529 snaplen 128 qthreshold 1 ]
chain unreachable:
a client's server is not reached
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ ct load protocol => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ lookup reg 1 set known4 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unreachable group 18529 snaplen 128 qthreshold 1 ]
a client's server is not reached
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ ct load protocol => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ lookup reg 1 set known6 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unreachable group 18529 snaplen 128 qthreshold 1 ]
a client's server is not reached
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ ct load protocol => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unreachable group 18529 snaplen 128 qthreshold 1 ]
a client's server is not reached
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ ct load protocol => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ limit rate 100/second burst 100 type packets flags 0x0 ]
  [ log prefix hanat unreachable group 18529 snaplen 128 qthreshold 1 ]
chain untracked_output:
hanatd's nudges and probes
  [ meta load mark => reg 1 ]
  [ cmp eq reg 1 0x68616e61 ]
  [ notrack ]
chain guard:
refused, stale or moved
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ lookup reg 1 set armed4 dreg 0 0x0 ]
refused, stale or moved
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ lookup reg 1 set armed6 dreg 0 0x0 ]
TCP in the middle of nothing
  [ ct load state => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000008 ) ^ 0x00000000 ]
  [ cmp neq reg 1 0x00000000 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ immediate reg 0 goto -> midstream ]
TCP under way: nothing to learn from it
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000000 ]
  [ immediate reg 0 accept ]
a server refuses
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000017 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000014 ]
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ immediate reg 0 goto -> hold ]
a SYN again, and no answer to the first
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000006 ]
  [ payload load 1b @ transport header + 13 => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x00000017 ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load status => reg 1 ]
  [ bitwise reg 1 = ( reg 1 & 0x0000000a ) ^ 0x00000000 ]
  [ cmp eq reg 1 0x00000008 ]
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000000 ]
  [ immediate reg 0 goto -> unanswered ]
an error about a client's packet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ payload load 1b @ transport header + 0 => reg 1 ]
  [ cmp eq reg 1 0x00000003 ]
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ immediate reg 0 goto -> unreachable ]
an error about a client's packet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ meta load l4proto => reg 1 ]
  [ cmp eq reg 1 0x0000003a ]
  [ payload load 1b @ transport header + 0 => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ ct load direction => reg 1 ]
  [ cmp eq reg 1 0x00000001 ]
  [ immediate reg 0 goto -> unreachable ]
chain guard_output:
refused, stale or moved
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ lookup reg 1 set armed4 dreg 0 0x0 ]
refused, stale or moved
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ lookup reg 1 set armed6 dreg 0 0x0 ]
chain translate:
one lookup decides
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set target4 dreg 1 0x0 ]
  [ nat dnat ip addr_min reg 1 addr_max reg 1 proto_min reg 9 proto_max reg 9 flags 0x3 ]
one lookup decides
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set target6 dreg 1 0x0 ]
  [ nat dnat ip6 addr_min reg 1 addr_max reg 1 proto_min reg 2 proto_max reg 2 flags 0x3 ]
or one more, for ranges of ports: kept
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set target4_ranges dreg 1 0x0 ]
  [ nat dnat ip addr_min reg 1 addr_max reg 1 flags 0x1 ]
or one more, for ranges of ports: kept
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set target6_ranges dreg 1 0x0 ]
  [ nat dnat ip6 addr_min reg 1 addr_max reg 1 flags 0x1 ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ immediate reg 0 drop ]
chain translate_output:
one lookup decides
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set target4 dreg 1 0x0 ]
  [ nat dnat ip addr_min reg 1 addr_max reg 1 proto_min reg 9 proto_max reg 9 flags 0x3 ]
one lookup decides
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set target6 dreg 1 0x0 ]
  [ nat dnat ip6 addr_min reg 1 addr_max reg 1 proto_min reg 2 proto_max reg 2 flags 0x3 ]
or one more, for ranges of ports: kept
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set target4_ranges dreg 1 0x0 ]
  [ nat dnat ip addr_min reg 1 addr_max reg 1 flags 0x1 ]
or one more, for ranges of ports: kept
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set target6_ranges dreg 1 0x0 ]
  [ nat dnat ip6 addr_min reg 1 addr_max reg 1 flags 0x1 ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ payload load 4b @ network header + 16 => reg 1 ]
  [ meta load l4proto => reg 9 ]
  [ payload load 2b @ transport header + 2 => reg 10 ]
  [ lookup reg 1 set known4_ranges 0x0 ]
  [ immediate reg 0 drop ]
no target yet
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ payload load 16b @ network header + 24 => reg 1 ]
  [ meta load l4proto => reg 2 ]
  [ payload load 2b @ transport header + 2 => reg 13 ]
  [ lookup reg 1 set known6_ranges 0x0 ]
  [ immediate reg 0 drop ]
chain source:
source becomes the gateway's
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 16 => reg 11 ]
  [ payload load 2b @ transport header + 2 => reg 2 ]
  [ lookup reg 1 set masquerade4 dreg 0 0x0 ]
fixed source
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 16 => reg 11 ]
  [ payload load 2b @ transport header + 2 => reg 2 ]
  [ lookup reg 1 set source4 dreg 1 0x0 ]
  [ immediate reg 9 0x00000004 ]
  [ immediate reg 10 0x000047ee ]
  [ nat snat ip addr_min reg 1 addr_max reg 1 proto_min reg 9 proto_max reg 10 flags 0x13 ]
source becomes the gateway's
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 24 => reg 14 ]
  [ payload load 2b @ transport header + 2 => reg 18 ]
  [ lookup reg 1 set masquerade6 dreg 0 0x0 ]
fixed source
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 24 => reg 14 ]
  [ payload load 2b @ transport header + 2 => reg 18 ]
  [ lookup reg 1 set source6 dreg 1 0x0 ]
  [ immediate reg 2 0x00000004 ]
  [ immediate reg 13 0x000047ee ]
  [ nat snat ip6 addr_min reg 1 addr_max reg 1 proto_min reg 2 proto_max reg 13 flags 0x13 ]
source becomes the gateway's
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 16 => reg 11 ]
  [ lookup reg 1 set masquerade4_ranges dreg 0 0x0 ]
fixed source
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x00000002 ]
  [ ct load dst_ip => reg 1 , dir original ]
  [ meta load l4proto => reg 9 ]
  [ ct load proto_dst => reg 10 , dir original ]
  [ payload load 4b @ network header + 16 => reg 11 ]
  [ lookup reg 1 set source4_ranges dreg 1 0x0 ]
  [ immediate reg 9 0x00000004 ]
  [ immediate reg 10 0x000047ee ]
  [ nat snat ip addr_min reg 1 addr_max reg 1 proto_min reg 9 proto_max reg 10 flags 0x13 ]
source becomes the gateway's
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 24 => reg 14 ]
  [ lookup reg 1 set masquerade6_ranges dreg 0 0x0 ]
fixed source
  [ meta load nfproto => reg 1 ]
  [ cmp eq reg 1 0x0000000a ]
  [ ct load dst_ip6 => reg 1 , dir original ]
  [ meta load l4proto => reg 2 ]
  [ ct load proto_dst => reg 13 , dir original ]
  [ payload load 16b @ network header + 24 => reg 14 ]
  [ lookup reg 1 set source6_ranges dreg 1 0x0 ]
  [ immediate reg 2 0x00000004 ]
  [ immediate reg 13 0x000047ee ]
  [ nat snat ip6 addr_min reg 1 addr_max reg 1 proto_min reg 2 proto_max reg 13 flags 0x13 ]
chain masquerade_random:
ports below those of hanat's probes
  [ immediate reg 1 0x00000004 ]
  [ immediate reg 9 0x000047ee ]
  [ masq proto_min reg 1 proto_max reg 9 flags 0x12 ]
chain hairpin:
leaves as it came: the answer would not pass the gateway
  [ meta load iif => reg 1 ]
  [ meta load iif => reg 9 ]
  [ dynset update reg_key 1 set same_way timeout 0ms ]
  [ meta load iif => reg 1 ]
  [ meta load oif => reg 9 ]
  [ lookup reg 1 set same_way 0x0 ]
  [ immediate reg 0 goto -> masquerade_random ]
)";

TEST(Layout, HasTheseSetsAndMaps) {
  const Layout layout = make_layout("hanat");
  std::string text;
  for (const auto& set : layout.sets) text += describe(*set);
  EXPECT_EQ(text, golden_sets);
}

TEST(Layout, HasTheseChains) {
  const Layout layout = make_layout("hanat");
  std::string text;
  for (const auto& chain : layout.chains) text += describe(*chain);
  EXPECT_EQ(text, golden_chains);
}

TEST(Layout, HasTheseRulesInThisOrder) {
  const Layout layout = make_layout("hanat");
  std::string text;
  std::string last;
  for (const auto& rule : layout.rules) {
    const std::string chain = nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN);
    if (chain != last) text += "chain " + chain + ":\n";
    last = chain;
    text += describe(*rule);
  }
  EXPECT_EQ(text, golden_rules);
}

TEST(Layout, IsTheSameInEveryTable) {
  const Layout one = make_layout("hanat");
  const Layout other = make_layout("another");
  ASSERT_EQ(one.rules.size(), other.rules.size());
  for (std::size_t rule = 0; rule < one.rules.size(); ++rule) {
    EXPECT_EQ(describe(*one.rules[rule]), describe(*other.rules[rule]));
    EXPECT_STREQ(nftnl_rule_get_str(other.rules[rule].get(), NFTNL_RULE_TABLE), "another");
  }
}

TEST(Layout, EverySetIsLookedUpByARule) {
  const std::string rules = golden_rules;
  for (const SetId id : set_ids()) EXPECT_NE(rules.find(" set " + name_of(id) + " "), std::string::npos) << name_of(id);
  for (const char* name : {"alive", "held4", "held6", "same_way"})
    EXPECT_NE(rules.find(std::string{" set "} + name + " "), std::string::npos);
}

TEST(Layout, KnowsItsOwnTableByTheComment) {
  EXPECT_EQ(table_comment(), "hanat layout 3");
  EXPECT_TRUE(is_ours(table_comment()));
  EXPECT_TRUE(is_ours("hanat layout 999"));
  for (const char* other : {"", "hanat", "hanat layout", "my hanat layout 1"}) EXPECT_FALSE(is_ours(other)) << other;
}

TEST(Layout, AnswersToUntrackedProbesHaveAChainOfTheirOwn) {
  const UntrackedAnswers answers = make_untracked_answers("hanat");
  EXPECT_EQ(describe(*answers.chain), "chain untracked type filter hook 0 priority -300 policy 1\n");
  EXPECT_EQ(describe(*answers.rule), R"(answers to hanatd's probes
  [ payload load 2b @ transport header + 2 => reg 1 ]
  [ cmp gte reg 1 0x000048ee ]
  [ cmp lte reg 1 0x00002ff2 ]
  [ socket load mark => reg 1 ]
  [ cmp eq reg 1 0x68616e61 ]
  [ notrack ]
)");
}

} // namespace
} // namespace hanat::nat
