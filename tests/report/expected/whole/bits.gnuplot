set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
3 0.2 0.19 0.21 "Q2_K"
4.85 0.01 0.0095 0.0105 "Q4_K_M"
8.5 0.002 0.0019 0.0021 "Q8_0"
EOD
set xlabel "bits per weight"
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set ylabel "mean KL divergence from the original"
set logscale y
set yrange [1.570e-04:1.000e+00]
set format y "%g"
set ytics add ("0" 2.512e-04)
set key outside top center horizontal
plot $data0 using 1:2:3:4 with yerrorbars pt 0 lw 1.5 lc rgb "#0072b2" notitle, $data0 using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#0072b2" notitle, $data0 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
