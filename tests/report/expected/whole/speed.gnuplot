set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
44 49.5 45 52 "Q8_0"
24 79.2 72 83.2 "Q4_K_M"
16 89.1 81 93.6 "Q2_K"
EOD
$data1 << EOD
30 39.6 36 41.6 "Q8_0"
18 59.4 54 62.4 "Q4_K_M"
11 99 90 104 "Q2_K"
EOD
$data2 << EOD
8 9.9 9 10.4 "Q8_0"
6 19.8 18 20.8 "Q4_K_M"
4 49.5 45 52 "Q2_K"
EOD
set xlabel "VRAM, GiB"
set xrange [0:*]
set offsets graph 0, graph 0.08, graph 0.05, 0
set ylabel "decode, tokens/s"
set yrange [0:*]
set key outside top center horizontal
plot $data0 using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.5 lc rgb "#0072b2" title "baseline", $data0 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data1 using 1:2:3:4 with yerrorbars pt 5 ps 1.2 lw 1.5 lc rgb "#e69f00" title "N=2", $data1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data2 using 1:2:3:4 with yerrorbars pt 9 ps 1.2 lw 1.5 lc rgb "#009e73" title "offload", $data2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
