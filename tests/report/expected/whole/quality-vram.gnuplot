set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
4 0.2 0.2 0.2 ""
6 0.01 0.01 0.01 ""
8 0.002 0.002 0.002 ""
EOD
$data1 << EOD
4 0.2 0.19 0.21 "Q2_K"
6 0.01 0.0095 0.0105 "Q4_K_M"
8 0.002 0.0019 0.0021 "Q8_0"
EOD
$data2 << EOD
11 0.2 0.19 0.21 "Q2_K"
18 0.01 0.0095 0.0105 "Q4_K_M"
30 0.002 0.0019 0.0021 "Q8_0"
EOD
$data3 << EOD
16 0.2 0.19 0.21 "Q2_K"
24 0.01 0.0095 0.0105 "Q4_K_M"
44 0.002 0.0019 0.0021 "Q8_0"
EOD
set xlabel "VRAM, GiB"
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set ylabel "mean KL divergence from the original"
set logscale y
set yrange [1.570e-04:1.000e+00]
set format y "%g"
set ytics add ("0" 2.512e-04)
set key outside top center horizontal
plot $data0 using 1:2 with lines lw 1.5 lc rgb "#9aa3b2" title "Pareto front", $data1 using 1:2:3:4 with yerrorbars pt 9 ps 1.2 lw 1.5 lc rgb "#009e73" title "offload", $data1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data2 using 1:2:3:4 with yerrorbars pt 4 ps 1.2 lw 1.5 lc rgb "#e69f00" title "N=2", $data2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data3 using 1:2:3:4 with yerrorbars pt 6 ps 1.2 lw 1.5 lc rgb "#0072b2" title "baseline", $data3 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
