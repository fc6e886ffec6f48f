set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
44.0000 49.5000 45.0000 52.0000 "Q8_0"
24.0000 79.2000 72.0000 83.2000 "Q4_K_M"
16.0000 89.1000 81.0000 93.6000 "Q2_K"
EOD
$data1 << EOD
30.0000 39.6000 36.0000 41.6000 "Q8_0"
18.0000 59.4000 54.0000 62.4000 "Q4_K_M"
11.0000 99.0000 90.0000 104.0000 "Q2_K"
EOD
$data2 << EOD
8.0000 9.9000 9.0000 10.4000 "Q8_0"
6.0000 19.8000 18.0000 20.8000 "Q4_K_M"
4.0000 49.5000 45.0000 52.0000 "Q2_K"
EOD
set xrange [0:*]
set yrange [0:*]
set offsets graph 0, graph 0.08, graph 0.05, 0
set xlabel "VRAM, GiB"
set ylabel "decode, tokens/s"
set key outside top center horizontal
plot $data0 using 1:2:3:4 with yerrorbars pt 5 ps 1.2 lw 1.5 lc rgb "#0072b2" title "baseline", $data0 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data1 using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.5 lc rgb "#e69f00" title "N=2", $data1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data2 using 1:2:3:4 with yerrorbars pt 9 ps 1.2 lw 1.5 lc rgb "#009e73" title "offload", $data2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
